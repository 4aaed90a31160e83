/**
 * Frames captured from a running copy of OpenBSD's sasyncd (its source of 2008, built on Linux with the kernel's
 * interfaces replaced), decoded by two independent tools; the plaintexts of PF_KEY frames are OpenBSD's messages,
 * little-endian. `key` is as in the configuration. One was made by hand and sent to it (its note says so).
 */
export const CLASSIC_VECTORS = [
  {
    note:
      "128 bits, master->slave, slave connects to master; 128 hex; CTL_ACK(CTL_STATE,MASTER); plaintext 12 bytes (%16=12), pad 4",
    key: "0x00112233445566778899aabbccddeeff",
    type: "CTL_ACK",
    padlen: 4,
    iv: "c4ace9df816cd175ea9289fb73f67564",
    plaintext: "000000030000000100000002",
    frame:
      "0000003c00000000000000040ba46d92a1c799ad7e419724c21882ec2dafda6dc4ace9df816cd175ea9289fb73f67564569c16bbd636b5ef88a8941f59bafbe2",
  },
  {
    note:
      "128 bits, master->slave, slave connects to master; 128 hex; CTL_ENDSNAP(0,0); plaintext 12 bytes (%16=12), pad 4",
    key: "0x00112233445566778899aabbccddeeff",
    type: "CTL_ENDSNAP",
    padlen: 4,
    iv: "01051af46d71b3bd2ccb5deb28a9ce7e",
    plaintext: "000000040000000000000000",
    frame:
      "0000003c0000000000000004d2306a49c9b64e5337a01cc4893e0964bf98322201051af46d71b3bd2ccb5deb28a9ce7ea6972c9aa1f10a3b56b146b4a40fc61e",
  },
  {
    note:
      "128 bits, masterB->masterA, both locked master, A connects to B; 128 hex; CTL_ERROR(CTL_STATE); plaintext 12 bytes (%16=12), pad 4",
    key: "0x00112233445566778899aabbccddeeff",
    type: "CTL_ERROR",
    padlen: 4,
    iv: "b4edf19f88fbf60c34df2d251461253c",
    plaintext: "000000020000000100000000",
    frame:
      "0000003c00000000000000043165870d4684c83c8ab75b12a0aa25cafdbb43b0b4edf19f88fbf60c34df2d251461253cbc81ce5d518cc226f6ebff53a09bcbe7",
  },
  {
    note:
      "128 bits, slave->master, slave connects to master; 128 hex; CTL_STATE(SLAVE); plaintext 12 bytes (%16=12), pad 4",
    key: "0x00112233445566778899aabbccddeeff",
    type: "CTL_STATE",
    padlen: 4,
    iv: "3f01196bf0732514575dac2037e0ce94",
    plaintext: "000000010000000100000000",
    frame:
      "0000003c0000000000000004b82e377b94340f336f7b4eb7b7358e5552727efd3f01196bf0732514575dac2037e0ce9468e237083d3953944cf392db28756b7a",
  },
  {
    note: "128 bits, test->slave, crafted: 8 byte control message",
    key: "0x00112233445566778899aabbccddeeff",
    type: "CTL_STATE",
    padlen: 8,
    iv: "3463d33e61caed6323ca90f2b61929ae",
    plaintext: "0000000100000002",
    frame:
      "0000003c0000000000000008594bafa4c0ec2ebd0b99acd9833f1b5966fcfff53463d33e61caed6323ca90f2b61929aefd8d292dd83dda8c770b8165a2c2659d",
  },
  {
    note:
      "128 bits, master->slave, slave connects to master; 128 hex; PFKEY FLUSH len=16 seq=1 pid=28047; plaintext 16 bytes (%16=0), pad 0",
    key: "0x00112233445566778899aabbccddeeff",
    type: "PFKEYDATA",
    padlen: 0,
    iv: "414299d4212fb7e74f8848896ea3e36d",
    plaintext: "0209000002000000010000008f6d0000",
    frame:
      "0000003c00000001000000003a067396ba8a10fdd846a5d58c40473f1da2828f414299d4212fb7e74f8848896ea3e36d9b5e24f8bf09a70ea4a7891a3d82b53a",
  },
  {
    note:
      "128 bits, master->slave, slave connects to master; 128 hex; PFKEY ADD len=264 seq=0 pid=0; plaintext 264 bytes (%16=8), pad 8",
    key: "0x00112233445566778899aabbccddeeff",
    type: "PFKEYDATA",
    padlen: 8,
    iv: "4e29c1d2578515abf3cd84b159afb9e8",
    plaintext:
      "0203000221000000000000000000000002000100000010001001030c040000000400020000000000001000000000000080461349000000008a4613490000000004000300000000000000000000000000b00400000000000000000000000000000400040000000000000000000000000038040000000000000000000000000000030005000000000010020000c00002010000000000000000030006000000000010020000c6336401000000000000000004000800a0000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000300090080000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0400200000000000000000000000000000000000000000008b46134900000000",
    frame:
      "0000013c0000000100000008c7cd8cae9abfe73a519768484e6086073c48c7874e29c1d2578515abf3cd84b159afb9e847cccff180ded31ab00cee3af157b037d1788cf315cffa6614663d37e0a1a401a8f3a0f2fe2cd504123d87cf0bee0fbc5b954ce76cea7c27040ea27a1b489b5e18198b0367fb79d8064d0cc3c463277a9e513998904beaeb6e6ae314ccd8f657fd2c74a6a11eee4c86fa5c8d2000990501c6526330c8032708c8922822f846aeb90a8bddf52fda3eac9b6290540ac743ea2042ec0500b8350bba577e2da885db961439e1de7bd0b422d7eaafc5b8761e08ac2bdf1ca644d9d90c0a7816aba15e2c480b63a8f330078b44bdc5f9ad6fbf88e41d19c1c11fa52f1e9ddac5d356fae36b9bd98efa94f5258c7272ea4b85e5a419b12e31d1027616c16b0a48238b70e071ff960c1e9cbf90f098fcbfd5a427",
  },
  {
    note:
      "192 bits, master->slave, slave connects to master; 192 hex, upper case digits; CTL_ACK(CTL_STATE,MASTER); plaintext 12 bytes (%16=12), pad 4",
    key: "0x0102030405060708090A0B0C0D0E0F101112131415161718",
    type: "CTL_ACK",
    padlen: 4,
    iv: "377272e9213455d0115cd929b4f740cd",
    plaintext: "000000030000000100000002",
    frame:
      "0000003c00000000000000040ba46d92a1c799ad7e419724c21882ec2dafda6d377272e9213455d0115cd929b4f740cdc74fe28a1f557078638274a106aa58f7",
  },
  {
    note:
      "192 bits, master->slave, slave connects to master; 192 hex, upper case digits; CTL_ENDSNAP(0,0); plaintext 12 bytes (%16=12), pad 4",
    key: "0x0102030405060708090A0B0C0D0E0F101112131415161718",
    type: "CTL_ENDSNAP",
    padlen: 4,
    iv: "14b33df9cdf962250c52bb67dec2c940",
    plaintext: "000000040000000000000000",
    frame:
      "0000003c0000000000000004d2306a49c9b64e5337a01cc4893e0964bf98322214b33df9cdf962250c52bb67dec2c94028e514eb9da1bba92d168b784a92da25",
  },
  {
    note:
      "192 bits, masterB->masterA, both locked master, A connects to B; 192 ascii; CTL_ERROR(CTL_STATE); plaintext 12 bytes (%16=12), pad 4",
    key: "abcdefghijklmnopqrstuvwx",
    type: "CTL_ERROR",
    padlen: 4,
    iv: "21bbaac3d24498c6747cce07653bd77b",
    plaintext: "000000020000000100000000",
    frame:
      "0000003c00000000000000043165870d4684c83c8ab75b12a0aa25cafdbb43b021bbaac3d24498c6747cce07653bd77b66b6a0475ac8b0019630dcdf6b231561",
  },
  {
    note:
      "192 bits, slave->master, slave connects to master; 192 hex, upper case digits; CTL_STATE(SLAVE); plaintext 12 bytes (%16=12), pad 4",
    key: "0x0102030405060708090A0B0C0D0E0F101112131415161718",
    type: "CTL_STATE",
    padlen: 4,
    iv: "b0538aaeb19fb115f9a26f4132da6108",
    plaintext: "000000010000000100000000",
    frame:
      "0000003c0000000000000004b82e377b94340f336f7b4eb7b7358e5552727efdb0538aaeb19fb115f9a26f4132da610881287ab82bcd7ea46ed56cf374693614",
  },
  {
    note:
      "192 bits, master->slave, slave connects to master; 192 hex, upper case digits; PFKEY FLUSH len=16 seq=1 pid=28063; plaintext 16 bytes (%16=0), pad 0",
    key: "0x0102030405060708090A0B0C0D0E0F101112131415161718",
    type: "PFKEYDATA",
    padlen: 0,
    iv: "7677e778ede65e7021bc79dff9ebfb9a",
    plaintext: "0209000002000000010000009f6d0000",
    frame:
      "0000003c0000000100000000938991b7f37f427a37b944ea72160e3ac641ed637677e778ede65e7021bc79dff9ebfb9ae96ba84519987f75be0543193a65efcb",
  },
  {
    note:
      "192 bits, master->slave, slave connects to master; 192 hex, upper case digits; PFKEY ADD len=264 seq=0 pid=0; plaintext 264 bytes (%16=8), pad 8",
    key: "0x0102030405060708090A0B0C0D0E0F101112131415161718",
    type: "PFKEYDATA",
    padlen: 8,
    iv: "32a81462a99f513cb2f5be9d8554b075",
    plaintext:
      "0203000221000000000000000000000002000100000010001001030c040000000400020000000000001000000000000080461349000000008a4613490000000004000300000000000000000000000000b00400000000000000000000000000000400040000000000000000000000000038040000000000000000000000000000030005000000000010020000c00002010000000000000000030006000000000010020000c6336401000000000000000004000800a0000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000300090080000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0400200000000000000000000000000000000000000000008b46134900000000",
    frame:
      "0000013c0000000100000008c7cd8cae9abfe73a519768484e6086073c48c78732a81462a99f513cb2f5be9d8554b075f2bbf3a0f7d5e941682f6d6f6e54aebe42f098c7c6690fff1159307c72a8a7b7dbb690c83e39a3042b438ee02ade166712c118158df45ccee04fe03ec33c26e584abef1bda84685da252c166448b312928557f49caff9981174250cc9c3b13a6aa4ffc66ea7823ccbb8ad28ecabba4c5785c578ef52570fbfb953dd2ec544fd044a5f041ae9be5c6958f40bdee457b858c5c4974ed483ddb4ae3fa6c1c402ef2a0da0cc29759255559cdc3b148920382a9baf06a448cddc69242538329ff71cd9e7b77494610523838b62b244cc1f2edcf9f002c385cbfb2d88fdb5bb79cd42f528caf2227537c69ff0b2f57c39a6d53c9e7de8b80594b40d64e9674ee6f1be38744e9debc15c5a00512b62b54620ccb",
  },
  {
    note:
      "256 bits, master->slave, slave connects to master; 256 hex; CTL_ACK(CTL_STATE,MASTER); plaintext 12 bytes (%16=12), pad 4",
    key: "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    type: "CTL_ACK",
    padlen: 4,
    iv: "24bdd73289dfba5e6c4f04d9453581ff",
    plaintext: "000000030000000100000002",
    frame:
      "0000003c00000000000000040ba46d92a1c799ad7e419724c21882ec2dafda6d24bdd73289dfba5e6c4f04d9453581ff3e05c0acb0194bf5c8b9fb8e1e71a9d3",
  },
  {
    note:
      "256 bits, master->slave, slave connects to master; 256 hex; CTL_ENDSNAP(0,0); plaintext 12 bytes (%16=12), pad 4",
    key: "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    type: "CTL_ENDSNAP",
    padlen: 4,
    iv: "319dee787eafe253391a3efe0178a3ea",
    plaintext: "000000040000000000000000",
    frame:
      "0000003c0000000000000004d2306a49c9b64e5337a01cc4893e0964bf983222319dee787eafe253391a3efe0178a3ea663f6f11844b07ef7fc72031a92c0cf2",
  },
  {
    note:
      "256 bits, masterB->masterA, both locked master, A connects to B; 256 hex; CTL_ERROR(CTL_STATE); plaintext 12 bytes (%16=12), pad 4",
    key: "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    type: "CTL_ERROR",
    padlen: 4,
    iv: "3b20dc59e0325fbb30050cd4c092cf5d",
    plaintext: "000000020000000100000000",
    frame:
      "0000003c00000000000000043165870d4684c83c8ab75b12a0aa25cafdbb43b03b20dc59e0325fbb30050cd4c092cf5d80958a65d0ea4cd4029f2445c62e6c21",
  },
  {
    note:
      "256 bits, slave->master, slave connects to master; 256 hex; CTL_STATE(SLAVE); plaintext 12 bytes (%16=12), pad 4",
    key: "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    type: "CTL_STATE",
    padlen: 4,
    iv: "c1776f79b6bfff507b876923c2f0e2b1",
    plaintext: "000000010000000100000000",
    frame:
      "0000003c0000000000000004b82e377b94340f336f7b4eb7b7358e5552727efdc1776f79b6bfff507b876923c2f0e2b195531fc17cee144d365345af56ab71f9",
  },
  {
    note:
      "256 bits, master->slave, slave connects to master; 256 hex; PFKEY FLUSH len=16 seq=1 pid=28166; plaintext 16 bytes (%16=0), pad 0",
    key: "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    type: "PFKEYDATA",
    padlen: 0,
    iv: "1b18e29e0c2e261ea88241a84ee15345",
    plaintext: "020900000200000001000000066e0000",
    frame:
      "0000003c0000000100000000ba922ae04dbc806e78ac5e4d4338c1749fcaccb31b18e29e0c2e261ea88241a84ee153454d7c87e71e244c5bb4bfd4b567cb49bd",
  },
  {
    note:
      "256 bits, master->slave, slave connects to master; 256 hex; PFKEY ADD len=264 seq=0 pid=0; plaintext 264 bytes (%16=8), pad 8",
    key: "0xf0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    type: "PFKEYDATA",
    padlen: 8,
    iv: "673af2e436abadd7c8c6629805ad3f8e",
    plaintext:
      "0203000221000000000000000000000002000100000010001001030c040000000400020000000000001000000000000080461349000000008a4613490000000004000300000000000000000000000000b00400000000000000000000000000000400040000000000000000000000000038040000000000000000000000000000030005000000000010020000c00002010000000000000000030006000000000010020000c6336401000000000000000004000800a0000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000300090080000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0400200000000000000000000000000000000000000000008b46134900000000",
    frame:
      "0000013c0000000100000008c7cd8cae9abfe73a519768484e6086073c48c787673af2e436abadd7c8c6629805ad3f8edaf3453efdfe3821ead43af303d07f01f048f7634f9fb4ca9d37259124390604c869df84bd8072696879aee46aeee7c80957552a442f7900d727bd08152c41a259fe90f18e769336b3e5534b6f88c035941a6ccaced4dcc18c9bdc796b70f2454d810f69e57dd2d028739380a05329d4438421ec4bc65caabc167939e80bf28678e09b9f165a9c33751dd56d0eb52047fbf4b15dc2f8957a2292714c10f29b43a2d69b03f1d042d614b101973f2fd09d8c89eb05b4df4079ec1ae8891330ce38f9dc0ae4f27c9bb2ff21aeadde7e73062d5377ffd9cefdce310a0f355f986a1f6301ea3c600dda6ed5ab9f65e49471eff869f37de3a1838e51eef0c1febcbb00d422eac248038adfa34b2bd1429c1614",
  },
] as const;
