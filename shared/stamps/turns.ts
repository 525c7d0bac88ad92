/** Runs steps one after the other. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  /** Runs a step when those before have ended; settles as the step does. */
  run(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(step)
    // Whoever asked for the step hears of its error.
    this.#last = Promise.allSettled([done]).then(() => undefined)
    return done
  }

  /** Resolves when what was asked for by now has ended. */
  idle(): Promise<void> {
    return this.#last
  }
}
