"""Pictures of counts, as SVG: they need no script, and take their colours from the page.

Each is drawn for broad and for narrow windows, and can stand alone in a file. What a mark tells is
its title, which `static/pictures.js` shows for the mark that is pointed at or reached by keyboard.
All text is escaped.
"""

from daskingest.web.pictures.sparks import sparkline as sparkline
