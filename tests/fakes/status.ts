/** Status views of a master with two peers, and of a slave that has not everything. */

import type { PeerView, StatusView } from "../../src/status/view.ts";

const NONE = { sas: 0, policies: 0 };
const LONG =
  "Kernel refused XFRM_MSG_NEWSA: ENOSYS (no such algorithm here, and a longer text than a line holds)";

export const CONNECTED_PEER: PeerView = {
  address: "192.0.2.2",
  protocol: "native",
  connected: true,
  seconds: 3725,
  about: "linux",
  role: "SLAVE",
  epoch: 7,
  lagChanges: 2,
  lagMs: 14,
  sent: 1200,
  applied: 1198,
  received: 0,
  refused: [{ reason: LONG, records: 2 }, { reason: "ESN", records: 1 }],
  snapshotSeconds: 200,
  loss: { synchronised: true, changes: 2, refused: [{ reason: LONG, records: 3 }] },
};

export const LOST_PEER: PeerView = {
  address: "2001:db8:1234:5678:9abc:def0:1234:5678",
  protocol: "classic",
  connected: false,
  seconds: 5,
  about: "cannot connect: ECONNREFUSED",
  sent: 0,
  applied: 0,
  received: 0,
  refused: [],
};

export const MASTER_VIEW: StatusView = {
  role: "MASTER",
  roleSeconds: 200,
  roleReason: "203.0.113.1 is on eth0",
  acting: true,
  epoch: 7,
  greatestEpoch: 7,
  synchronised: false,
  kernel: "xfrm",
  shared: { sas: 120, policies: 60 },
  local: { sas: 1, policies: 1 },
  mirror: { sas: 120, policies: 60 },
  refused: [],
  waiting: 0,
  demoted: false,
  demotionReason: "master",
  handover: "none",
  inheritedSas: 40,
  inheritedFirstEndsSeconds: 2831,
  twoMasters: 0,
  staleLeases: 0,
  peers: [CONNECTED_PEER, LOST_PEER],
  events: { "changes applied": 3 },
};

export const LONELY_SLAVE: StatusView = {
  ...MASTER_VIEW,
  role: "SLAVE",
  roleReason: "203.0.113.1 is not on eth0",
  epoch: 6,
  following: "192.0.2.2",
  synchronised: true,
  local: NONE,
  refused: [{ reason: "ESN", records: 1 }],
  waiting: 1,
  demoted: true,
  demotionReason: "handover",
  handover: "done",
  inheritedSas: 0,
  inheritedFirstEndsSeconds: undefined,
  twoMasters: 1,
  staleLeases: 120,
  loss: { synchronised: false, changes: 1, refused: [{ reason: "ESN", records: 1 }] },
  peers: [],
};
