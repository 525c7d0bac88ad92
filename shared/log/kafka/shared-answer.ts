/**
 * A question that many may ask at once: one is under way, and whoever comes meanwhile shares the next one, so that every
 * answer is of a moment behind its call and there are never more than two.
 */
export class SharedAnswer<T> {
  readonly #find: () => Promise<T>
  #running: Promise<T> | undefined
  #next: Promise<T> | undefined

  constructor(find: () => Promise<T>) {
    this.#find = find
  }

  ask(): Promise<T> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= Promise.allSettled([this.#running]).then(() => {
      this.#next = undefined
      return this.#start()
    })
    return this.#next
  }

  #start(): Promise<T> {
    const running = this.#find().finally(() => {
      this.#running = undefined
    })
    this.#running = running
    return running
  }
}
