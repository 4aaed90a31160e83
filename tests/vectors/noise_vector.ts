/**
 * The published test vector of Noise_NNpsk0_25519_AESGCM_SHA256 (cacophony collection), as hexadecimal text.
 * Messages alternate, the initiator begins; the first two are the handshake.
 */
export const NOISE_VECTOR = {
  prologue: "4a6f686e2047616c74",
  psk: "54686973206973206d7920417573747269616e20706572737065637469766521",
  initiatorEphemeral: "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
  responderEphemeral: "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
  handshakeHash: "9f3b1f9afd7767767b5b9d1069844a6154fdbdcc36dfb3e31c0fffc5c973d530",
  messages: [
    {
      payload: "4c756477696720766f6e204d69736573",
      ciphertext:
        "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79447c37a89fc17813788d30df2d59501d6066f5f8aecc3406bbd9829f2d24a531b1",
    },
    {
      payload: "4d757272617920526f746862617264",
      ciphertext:
        "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088432f29d79368ef9de4e1ae7a362fb05bf0ad668e026bf5714554497b3a720461",
    },
    {
      payload: "462e20412e20486179656b",
      ciphertext: "7c01e898a6201f36aecee532e29cd0b7f8ffa29d3366ad0dce39a6",
    },
    {
      payload: "4361726c204d656e676572",
      ciphertext: "a9ff535aace3db6a1da1a7fb00fe2de2622bb373abad9fb42c00e0",
    },
    {
      payload: "4a65616e2d426170746973746520536179",
      ciphertext: "6cfc49a3e65472edc2d0152abe5ce950170a8a47c959f30bd48b5f0aacf29adbfd",
    },
    {
      payload: "457567656e2042f6686d20766f6e2042617765726b",
      ciphertext: "9bc86e6d974ed21ba04604a94aa68de21677eb409ead070c0cd569b069ee19ba142aa4c1a9",
    },
  ],
} as const;
