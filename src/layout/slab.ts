/** Copies of short byte runs that share buffers: a buffer for each costs more time and memory than what is in it. */

/** The size of a buffer. One that a single copy keeps alive is not too much for what the copy belongs to. */
const SLAB_BYTES = 2048;

/** Gives copies away. Use one for what lives long and another for what does not. */
export class Slab {
  #bytes = new Uint8Array(0);
  #used = 0;

  /** A copy that is never written to again. */
  copy(bytes: Uint8Array): Uint8Array {
    const { length } = bytes;
    if (length > SLAB_BYTES / 4) return bytes.slice();
    if (this.#used + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    this.#bytes.set(bytes, start);
    return this.#bytes.subarray(start, this.#used);
  }
}
