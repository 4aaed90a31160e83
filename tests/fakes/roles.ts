/** A tracker that a test moves; it wakes its daemon through a connection in the fake network. */

import type { Role, RoleState, RoleTracker } from "../../src/ports.ts";
import type { FakeConnection, FakeNetwork } from "./network.ts";
import { addr } from "./records.ts";

/** Ports of their own for each. */
let nextPort = 60_000;

export class MovedTracker implements RoleTracker {
  readonly fd: number;
  readonly #own: FakeConnection;
  readonly #far: FakeConnection;

  /** To be made before the network is made slow. */
  constructor(network: FakeNetwork, private role: Role) {
    const at = { address: addr("127.0.0.1"), port: nextPort++ };
    const listener = network.listen(at);
    this.#own = network.connect(at.address, at);
    this.#own.finishConnect();
    this.#far = listener.accept()!;
    listener.close();
    this.fd = this.#own.fd;
  }

  move(role: Role): void {
    if (role === this.role) return;
    this.role = role;
    this.#far.send(Uint8Array.of(0));
  }

  look(): RoleState {
    while (this.#own.receive(1).kind === "data");
    return { role: this.role, reason: "test" };
  }

  close(): void {}
}
