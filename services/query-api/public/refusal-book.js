/** Refusals as they are kept for the list: grouped, newest first, bounded. Free of the DOM. */

/** @typedef {import('./stream.js').Letter} Letter */
/** @typedef {{ key: string, letter: Letter, warning: boolean, count: number, lastMs: number }} Group */

export const MAX_GROUPS = 100

/** Ids remembered to tell a repeat of a letter (after a reconnect) from a new one. */
const MAX_IDS = 1_000

export class RefusalBook {
  /** @type {Map<string, Group>} the newest last */
  #groups = new Map()
  /** @type {Set<string>} */
  #ids = new Set()

  /**
   * Counts the letter to the group of the same client, topic and code. Returns the group and whether it is new,
   * or undefined for a letter that was counted before.
   * @param {Letter} letter
   * @param {boolean} warning
   * @returns {{ group: Group, isNew: boolean } | undefined}
   */
  add(letter, warning) {
    if (this.#isKnown(letter.id)) return undefined
    const key = JSON.stringify([warning, letter.code, letter.who, letter.topic ?? null])
    const before = this.#groups.get(key)
    const group = {
      key,
      letter,
      warning,
      count: (before?.count ?? 0) + 1,
      lastMs: Date.parse(letter.receivedAt ?? letter.time ?? ''),
    }
    this.#groups.delete(key)
    this.#groups.set(key, group)
    const oldest = this.#groups.keys().next().value
    if (this.#groups.size > MAX_GROUPS && oldest !== undefined) this.#groups.delete(oldest)
    return { group, isNew: before === undefined }
  }

  /** @returns {Group[]} newest first */
  newestFirst() {
    return [...this.#groups.values()].reverse()
  }

  /** @param {string | undefined} id */
  #isKnown(id) {
    if (id === undefined) return false
    if (this.#ids.has(id)) return true
    this.#ids.add(id)
    const oldest = this.#ids.values().next().value
    if (this.#ids.size > MAX_IDS && oldest !== undefined) this.#ids.delete(oldest)
    return false
  }
}
