// Runs the image of an RP2040's flash in rp2040js from the second-stage boot on, without the chip's ROM, until the serial line has said
// a text or so many instructions have passed. Prints one JSON object: what it said, and the clocks and the speed that were set.
//
// node rp2040.mjs FOLDER_OF_rp2040js IMAGE TEXT INSTRUCTIONS
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [folder, image, text, most] = process.argv.slice(2);
const { RP2040 } = createRequire(import.meta.url)(folder);
const FLASH = 0x10000000;
const BETWEEN_LOOKS = 10000;

const chip = new RP2040();
const problems = [];
chip.logger = {
  debug() {},
  info() {},
  warn: (component, message) => problems.push(`${component}: ${message}`),
  error: (component, message) => problems.push(`${component}: ${message}`),
};
chip.flash.set(readFileSync(image), 0);
let said = '';
chip.uart[0].onByte = (byte) => {
  said += String.fromCharCode(byte);
};
chip.core.PC = FLASH;
let instructions = 0;
while (instructions < Number(most) && !said.includes(text)) {
  for (let i = 0; i < BETWEEN_LOOKS; i++) {
    chip.core.executeInstruction();
  }
  instructions += BETWEEN_LOOKS;
}
console.log(
  JSON.stringify({
    said,
    problems,
    core: chip.clocks.sysFreq,
    uart: chip.clocks.periFreq,
    reference: chip.clocks.refFreq,
    baud: chip.uart[0].baudRate,
  }),
);
