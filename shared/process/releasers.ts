/** Closing in order: whoever opens something adds its release here, and one call releases all of it. */

type Release = () => void | Promise<void>

/**
 * Releases last-in first-out. Every release is tried, the first error is kept and thrown at the end.
 * `close` may be called any number of times and at the same time: all callers get the same promise.
 */
export class Releasers {
  readonly #stack: { name: string; release: Release }[] = []
  readonly #onError: (name: string, error: unknown) => void
  #closing: Promise<void> | undefined

  constructor(onError: (name: string, error: unknown) => void = () => {}) {
    this.#onError = onError
  }

  /** Adds a release and gives the thing back, so that opening and owning are one line. */
  own<T>(name: string, thing: T, release: (thing: T) => void | Promise<void>): T {
    this.#stack.push({ name, release: () => release(thing) })
    return thing
  }

  close(): Promise<void> {
    this.#closing ??= this.#releaseAll()
    return this.#closing
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = []
    for (let entry = this.#stack.pop(); entry !== undefined; entry = this.#stack.pop()) {
      try {
        await entry.release()
      } catch (error) {
        errors.push(error)
        this.#onError(entry.name, error)
      }
    }
    if (errors.length > 0) throw errors[0]
  }
}
