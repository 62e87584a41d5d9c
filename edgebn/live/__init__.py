"""Pictures and sounds as they come: films, cameras and microphones to answers, and to a page or a terminal that shows them."""
