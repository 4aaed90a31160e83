/** What classic frames say: control messages of three big-endian words, or one raw PF_KEY message. */

import { Layout, u32be } from "../../layout/layout.ts";
import { Reader } from "../../layout/reader.ts";
import { Writer } from "../../layout/writer.ts";
import type { Role } from "../../ports.ts";
import { type ClassicFrame, FRAME_TYPE } from "./frames.ts";

/** Types of control messages; an error names its cause by the type of the message that was wrong. */
export const CONTROL = { NONE: 0, STATE: 1, ERROR: 2, ACK: 3, ENDSNAP: 4, UNKNOWN: 5 } as const;

/** Run states by their numbers. */
const STATES: readonly Role[] = ["INIT", "SLAVE", "MASTER", "FAIL"];

const control = new Layout("classic control message", 12, { type: u32be, data: u32be, data2: u32be });

export type ClassicMessage =
  /** The sender's run state. */
  | { readonly type: "state"; readonly role: Role }
  /** `cause` is one of CONTROL: the message that was wrong, NONE for PF_KEY data that is not wanted. */
  | { readonly type: "error"; readonly cause: number }
  /** The answer to STATE, with the sender's run state. */
  | { readonly type: "ack"; readonly of: number; readonly role: Role }
  /** The snapshot is complete. */
  | { readonly type: "endsnap" }
  /** One message of the sender's PF_KEY, in its host's layout and byte order. */
  | { readonly type: "pfkey"; readonly bytes: Uint8Array };

/** A message that came, or what makes no sense in a sound frame: `cause` is what to answer, undefined: nothing. */
export type ReceivedMessage = ClassicMessage | {
  readonly type: "unclear";
  readonly what: string;
  readonly cause: number | undefined;
};

/** A message as a frame's content. */
export function encodeMessage(message: ClassicMessage): ClassicFrame {
  switch (message.type) {
    case "state":
      return encodeControl(CONTROL.STATE, STATES.indexOf(message.role));
    case "error":
      return encodeControl(CONTROL.ERROR, message.cause);
    case "ack":
      return encodeControl(CONTROL.ACK, message.of, STATES.indexOf(message.role));
    case "endsnap":
      return encodeControl(CONTROL.ENDSNAP);
    case "pfkey":
      return { type: FRAME_TYPE.PFKEY, payload: message.bytes };
  }
}

/** What a frame says. A control message may be longer than its three words. */
export function decodeMessage({ type, payload }: ClassicFrame): ReceivedMessage {
  if (type === FRAME_TYPE.PFKEY) return { type: "pfkey", bytes: payload };
  if (payload.length < control.size) {
    return unclear(`a control message of ${payload.length} bytes`, CONTROL.UNKNOWN);
  }
  const { type: what, data, data2 } = control.read(new Reader(payload, control.name));
  switch (what) {
    case CONTROL.STATE:
      return withRole(data, (role) => ({ type: "state", role }));
    case CONTROL.ERROR:
      return { type: "error", cause: data };
    case CONTROL.ACK:
      return withRole(data2, (role) => ({ type: "ack", of: data, role }));
    case CONTROL.ENDSNAP:
      return { type: "endsnap" };
    default:
      return unclear(`a control message of type ${what}`, undefined);
  }
}

function encodeControl(type: number, data = 0, data2 = 0): ClassicFrame {
  const writer = new Writer("big", control.size);
  control.write(writer, { type, data, data2 });
  return { type: FRAME_TYPE.CONTROL, payload: writer.finish() };
}

function withRole(state: number, build: (role: Role) => ClassicMessage): ReceivedMessage {
  const role = STATES[state];
  return role === undefined ? unclear(`run state ${state}`, CONTROL.STATE) : build(role);
}

function unclear(what: string, cause: number | undefined): ReceivedMessage {
  return { type: "unclear", what, cause };
}
