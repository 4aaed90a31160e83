/** What the talk with a classic peer needs of its surroundings: the node, the peer's connection, the log. */

import type { Role } from "../ports.ts";
import type { ClassicMessage } from "../wire/classic/message.ts";
import type { Message } from "../wire/native/message.ts";
import type { ListEnd } from "./follower.ts";

export interface ClassicPort {
  /** Own run state as it is to be said. */
  role(): Role;
  /** Says something on the connection that the peer reads. Without one it is lost. */
  send(message: ClassicMessage): void;
  /** Tells the node, as from this peer. @throws {PeerError | DecodeError} */
  tell(message: Message | ListEnd, nowMs: number): void;
  /** Ends the connections and makes a new one: only to a new one a snapshot is sent. */
  redial(reason: string): void;
  /** The rank that the node knows a record by, or a new one. */
  rankOf(key: string): number;
  /** Whether the node knows this record. */
  holds(key: string): boolean;
  /** Something is not as it should be, said once for each `topic`. Never holds a key. */
  warn(topic: string, text: string): void;
  detail(text: string): void;
}
