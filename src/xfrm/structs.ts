/**
 * The structs of linux/xfrm.h for 64-bit systems (and 32-bit ARM), as layouts. Host order; SPIs and ports are in
 * network order, addresses are 16 bytes of which IPv4 takes the first four.
 */

import { DecodeError } from "../errors.ts";
import { type Field, i32, Layout, pad, u16, u16be, u32, u32be, u64, u8 } from "../layout/layout.ts";

/** `xfrm_address_t`: 16 bytes, a view when read; 4 or 16 bytes when written. */
export const xfrmAddress: Field<Uint8Array> = {
  size: 16,
  align: 4,
  padding: false,
  read: (reader) => reader.bytes(16),
  write(writer, value) {
    if (value.length > 16) throw new RangeError(`Cannot write ${value.length} bytes: the field has 16`);
    writer.bytes(value).zeros(16 - value.length);
  },
};

const NAME_LENGTH = 64;

/** `char alg_name[64]`: printable ASCII with a zero byte after it. */
const algorithmName: Field<string> = {
  size: NAME_LENGTH,
  align: 1,
  padding: false,
  read(reader) {
    const bytes = reader.bytes(NAME_LENGTH);
    const end = bytes.indexOf(0);
    const name = end <= 0 ? "" : String.fromCharCode(...bytes.subarray(0, end));
    if (!isName(name)) throw new DecodeError(reader.struct, "algorithm name is not text");
    return name;
  },
  write(writer, value) {
    if (!isName(value) || value.length >= NAME_LENGTH) {
      throw new RangeError(`Cannot write "${value}": no algorithm name`);
    }
    for (let i = 0; i < value.length; i++) writer.u8(value.charCodeAt(i));
    writer.zeros(NAME_LENGTH - value.length);
  },
};

function isName(text: string): boolean {
  return /^[!-~]+$/.test(text);
}

export const xfrmId = new Layout("xfrm_id", 24, {
  daddr: xfrmAddress,
  spi: u32be,
  proto: u8,
  reserved: pad(3),
});

export const xfrmSelector = new Layout("xfrm_selector", 56, {
  daddr: xfrmAddress,
  saddr: xfrmAddress,
  dport: u16be,
  dportMask: u16be,
  sport: u16be,
  sportMask: u16be,
  family: u16,
  prefixlenD: u8,
  prefixlenS: u8,
  proto: u8,
  reserved: pad(3),
  ifindex: i32,
  user: u32,
});

export const xfrmLifetimeCfg = new Layout("xfrm_lifetime_cfg", 64, {
  softByte: u64,
  hardByte: u64,
  softPacket: u64,
  hardPacket: u64,
  softAdd: u64,
  hardAdd: u64,
  softUse: u64,
  hardUse: u64,
});

export const xfrmLifetimeCur = new Layout("xfrm_lifetime_cur", 32, {
  bytes: u64,
  packets: u64,
  addTime: u64,
  useTime: u64,
});

export const xfrmStats = new Layout("xfrm_stats", 12, {
  replayWindow: u32,
  replay: u32,
  integrityFailed: u32,
});

export const xfrmReplayState = new Layout("xfrm_replay_state", 12, { oseq: u32, seq: u32, bitmap: u32 });

/** `bmpLen` words of bitmap follow. */
export const xfrmReplayStateEsn = new Layout("xfrm_replay_state_esn", 24, {
  bmpLen: u32,
  oseq: u32,
  seq: u32,
  oseqHi: u32,
  seqHi: u32,
  replayWindow: u32,
});

/** `keyBits` bits of key follow; so they do in the next two. */
export const xfrmAlgo = new Layout("xfrm_algo", 68, { name: algorithmName, keyBits: u32 });

export const xfrmAlgoAuth = new Layout("xfrm_algo_auth", 72, {
  name: algorithmName,
  keyBits: u32,
  icvBits: u32,
});

export const xfrmAlgoAead = new Layout("xfrm_algo_aead", 72, {
  name: algorithmName,
  keyBits: u32,
  icvBits: u32,
});

export const xfrmEncapTmpl = new Layout("xfrm_encap_tmpl", 24, {
  type: u16,
  sport: u16be,
  dport: u16be,
  reserved: pad(2),
  oa: xfrmAddress,
});

export const xfrmMark = new Layout("xfrm_mark", 8, { v: u32, m: u32 });

export const xfrmUserTmpl = new Layout("xfrm_user_tmpl", 64, {
  id: xfrmId.nested(),
  family: u16,
  reserved: pad(2),
  saddr: xfrmAddress,
  reqid: u32,
  mode: u8,
  share: u8,
  optional: u8,
  reserved2: pad(1),
  aalgos: u32,
  ealgos: u32,
  calgos: u32,
});

/** `ctxLen` bytes of context follow. */
export const xfrmUserSecCtx = new Layout("xfrm_user_sec_ctx", 8, {
  len: u16,
  exttype: u16,
  alg: u8,
  doi: u8,
  ctxLen: u16,
});

export const xfrmUserpolicyType = new Layout("xfrm_userpolicy_type", 6, {
  type: u8,
  reserved: pad(5),
});

export const xfrmUsersaInfo = new Layout("xfrm_usersa_info", 224, {
  sel: xfrmSelector.nested(),
  id: xfrmId.nested(),
  saddr: xfrmAddress,
  lft: xfrmLifetimeCfg.nested(),
  curlft: xfrmLifetimeCur.nested(),
  stats: xfrmStats.nested(),
  seq: u32,
  reqid: u32,
  family: u16,
  mode: u8,
  replayWindow: u8,
  flags: u8,
  reserved: pad(7),
});

export const xfrmUsersaId = new Layout("xfrm_usersa_id", 24, {
  daddr: xfrmAddress,
  spi: u32be,
  family: u16,
  proto: u8,
  reserved: pad(1),
});

export const xfrmUsersaFlush = new Layout("xfrm_usersa_flush", 1, { proto: u8 });

export const xfrmAeventId = new Layout("xfrm_aevent_id", 48, {
  saId: xfrmUsersaId.nested(),
  saddr: xfrmAddress,
  flags: u32,
  reqid: u32,
});

export const xfrmUserspiInfo = new Layout("xfrm_userspi_info", 232, {
  info: xfrmUsersaInfo.nested(),
  min: u32,
  max: u32,
});

export const xfrmUserpolicyInfo = new Layout("xfrm_userpolicy_info", 168, {
  sel: xfrmSelector.nested(),
  lft: xfrmLifetimeCfg.nested(),
  curlft: xfrmLifetimeCur.nested(),
  priority: u32,
  index: u32,
  dir: u8,
  action: u8,
  flags: u8,
  share: u8,
  reserved: pad(4),
});

export const xfrmUserpolicyId = new Layout("xfrm_userpolicy_id", 64, {
  sel: xfrmSelector.nested(),
  index: u32,
  dir: u8,
  reserved: pad(3),
});

export const xfrmUserExpire = new Layout("xfrm_user_expire", 232, {
  state: xfrmUsersaInfo.nested(),
  hard: u8,
  reserved: pad(7),
});

export const xfrmUserPolexpire = new Layout("xfrm_user_polexpire", 176, {
  pol: xfrmUserpolicyInfo.nested(),
  hard: u8,
  reserved: pad(7),
});

export const xfrmUserAcquire = new Layout("xfrm_user_acquire", 280, {
  id: xfrmId.nested(),
  saddr: xfrmAddress,
  sel: xfrmSelector.nested(),
  policy: xfrmUserpolicyInfo.nested(),
  aalgos: u32,
  ealgos: u32,
  calgos: u32,
  seq: u32,
});

export const xfrmUserReport = new Layout("xfrm_user_report", 60, {
  proto: u8,
  reserved: pad(3),
  sel: xfrmSelector.nested(),
});

export const xfrmUserKmaddress = new Layout("xfrm_user_kmaddress", 40, {
  local: xfrmAddress,
  remote: xfrmAddress,
  reserved: pad(4),
  family: u16,
  reserved2: pad(2),
});

export const xfrmUserMigrate = new Layout("xfrm_user_migrate", 76, {
  oldDaddr: xfrmAddress,
  oldSaddr: xfrmAddress,
  newDaddr: xfrmAddress,
  newSaddr: xfrmAddress,
  proto: u8,
  mode: u8,
  reserved: pad(2),
  reqid: u32,
  oldFamily: u16,
  newFamily: u16,
});

export const xfrmUserMapping = new Layout("xfrm_user_mapping", 64, {
  id: xfrmUsersaId.nested(),
  reqid: u32,
  oldSaddr: xfrmAddress,
  newSaddr: xfrmAddress,
  oldSport: u16be,
  newSport: u16be,
});

export const xfrmAddressFilter = new Layout("xfrm_address_filter", 36, {
  saddr: xfrmAddress,
  daddr: xfrmAddress,
  family: u16,
  splen: u8,
  dplen: u8,
});

export const xfrmUserOffload = new Layout("xfrm_user_offload", 8, {
  ifindex: i32,
  flags: u8,
  reserved: pad(3),
});

export const xfrmUserpolicyDefault = new Layout("xfrm_userpolicy_default", 3, { in: u8, fwd: u8, out: u8 });
