// Invariant: no two chunks of a file are sealed with the same key and nonce, and only the last one of a section says so.
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'

/** Bytes of a section in one chunk; only its last one may have less. */
export const CHUNK_BYTES = 64 * 1024
export const TAG_BYTES = 16

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
/** Seven zeros, the number of the chunk, and whether it is the last one. */
const NONCE_BYTES = 12

/** What all sections of a file have in common. */
export interface FileSeal {
  /** 32 random bytes; undefined for a file that anybody can read, whose tags are checksums. */
  readonly key: Buffer | undefined
  /** SHA-256 of everything before the first section. */
  readonly head: Buffer
}

/**
 * Seals the chunks of one section, or opens them, in their order: the STREAM construction of Hoang, Reyhanitabar, Rogaway and
 * Vizár (2015, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance") over AES-256-GCM, with a key for
 * each section. A chunk that was changed, left out, moved or cut off does not open. Without a key the tag is the first half
 * of a SHA-256 over the same: it finds damage, and no ill will.
 */
export class SectionChunks {
  readonly #key: Buffer | undefined
  readonly #about: Buffer
  #count = 0

  constructor({ key, head }: FileSeal, section: number) {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(section)
    this.#about = Buffer.concat([head, number])
    const info = `sluice backup 1 section ${section}`
    this.#key = key === undefined ? undefined : Buffer.from(hkdfSync('sha256', key, head, info, KEY_BYTES))
  }

  /** The chunk as it is written, and its tag. */
  seal(bytes: Uint8Array, isLast: boolean): { readonly sealed: Uint8Array; readonly tag: Buffer } {
    const nonce = this.#next(isLast)
    if (this.#key === undefined) return { sealed: bytes, tag: this.#checksum(nonce, bytes) }
    const cipher = createCipheriv(CIPHER, this.#key, nonce)
    cipher.setAAD(this.#about)
    const sealed = Buffer.concat([cipher.update(bytes), cipher.final()])
    return { sealed, tag: cipher.getAuthTag() }
  }

  /** Undefined when it is not what was sealed at this place. */
  open(sealed: Uint8Array, tag: Uint8Array, isLast: boolean): Uint8Array | undefined {
    const nonce = this.#next(isLast)
    if (this.#key === undefined) return this.#checksum(nonce, sealed).equals(tag) ? sealed : undefined
    const decipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAAD(this.#about)
    decipher.setAuthTag(tag)
    const bytes = decipher.update(sealed)
    try {
      return Buffer.concat([bytes, decipher.final()])
    } catch (error) {
      // Node gives this one no code: nothing else can fail here.
      if (error instanceof Error) return undefined
      throw error
    }
  }

  #next(isLast: boolean): Buffer {
    const nonce = Buffer.alloc(NONCE_BYTES)
    nonce.writeUInt32BE(this.#count, NONCE_BYTES - 5)
    nonce[NONCE_BYTES - 1] = Number(isLast)
    this.#count += 1
    return nonce
  }

  #checksum(nonce: Buffer, bytes: Uint8Array): Buffer {
    return createHash('sha256').update(this.#about).update(nonce).update(bytes).digest().subarray(0, TAG_BYTES)
  }
}
