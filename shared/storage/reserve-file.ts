import { randomBytes } from 'node:crypto'
import { rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

const PART_BYTES = 1024 * 1024

/** A file that takes room away from others, to be given back when there is none left. */
export class ReserveFile {
  readonly bytes: number
  readonly #path: string
  #making: Promise<void> | undefined
  #isThere: boolean

  constructor(folder: string, bytes: number) {
    this.bytes = bytes
    this.#path = join(folder, 'disk-reserve')
    this.#isThere = this.#isWhole()
  }

  get isThere(): boolean {
    return this.#isThere
  }

  /** Makes it, whatever of it is there. Rejects with what the file system says; nothing of it is left then. */
  make(): Promise<void> {
    this.#making ??= this.#write().finally(() => (this.#making = undefined))
    return this.#making
  }

  /** Removes it. Throws what the file system says. */
  giveBack(): void {
    this.#isThere = false
    rmSync(this.#path, { force: true })
  }

  /** Resolves when it is not being made any more, whatever came of that. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#making])
  }

  async #write(): Promise<void> {
    // Random: there are file systems that keep nothing of zeros.
    const part = randomBytes(PART_BYTES)
    const file = await open(this.#path, 'w', 0o600)
    try {
      for (let at = 0; at < this.bytes; at += PART_BYTES)
        await file.write(part, 0, Math.min(PART_BYTES, this.bytes - at))
      // It may have been given back meanwhile.
      this.#isThere = this.#isWhole()
    } catch (error) {
      this.giveBack()
      throw error
    } finally {
      await file.close()
    }
  }

  #isWhole(): boolean {
    return (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) >= this.bytes
  }
}
