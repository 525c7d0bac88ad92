/** How many connections each address holds, as `siteOf` tells addresses apart. */
export class SiteCounts {
  readonly #most: number
  readonly #counts = new Map<string, number>()

  /** `most` of one site; 0 = no limit. */
  constructor(most: number) {
    this.#most = most
  }

  /** Counts one more; the function that takes it back, once. Undefined when the site has too many. */
  take(site: string): (() => void) | undefined {
    if (this.#most === 0) return () => {}
    const count = this.#counts.get(site) ?? 0
    if (count >= this.#most) return undefined
    this.#counts.set(site, count + 1)
    return () => {
      const rest = (this.#counts.get(site) ?? 1) - 1
      if (rest > 0) this.#counts.set(site, rest)
      else this.#counts.delete(site)
    }
  }
}
