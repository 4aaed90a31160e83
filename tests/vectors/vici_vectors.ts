/**
 * vici packets without their length, as charon of strongSwan 5.9.8 (Debian 12) sent them on 2026-11-23, read from its
 * socket after `swanctl --load-all` of a connection "lab" with a child "net" that has `start_action = trap`; and the
 * example of the protocol's own document (README.md of the vici plugin, "Encoding example").
 */

export const VICI_VECTORS = {
  confirm: "05",
  listPolicy: "070b6c6973742d706f6c69637901076c61622f6e657403056368696c6400036e65740303696b6500036c6162" +
    "03046d6f6465000654554e4e454c04086c6f63616c2d747305000b31302e312e302e302f323406040972656d6f74652d7473" +
    "05000b31302e322e302e302f32340602",
  end: "01",
  refused:
    "0103077375636365737300026e6f03066572726d7367001c636f6e66696775726174696f6e206e616d65206e6f7420666f" +
    "756e64",
  unknownCommand: "02",
  unknownEvent: "06",
};

/** The message of the document's example, without a packet around it. */
export const VICI_EXAMPLE = "03046b657931000676616c75653101" + "0873656374696f6e31" +
  "010b7375622d73656374696f6e03046b657932000676616c75653202" +
  "04056c6973743105000" + "56974656d3105000" + "56974656d3206" + "02";
