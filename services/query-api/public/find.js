import { byId, make } from './dom.js'

/** From so many devices on a list to choose from is no help. */
const MANY = 20
/** Names offered at once. */
const MAX_FOUND = 20
/** Between the last key and the question. */
const PAUSE_MS = 200

/** Finds a device by a part of its name among all that there are, however many. */
export class Find {
  #input = byId('find', HTMLInputElement)
  #found = byId('found', HTMLElement)
  #ask
  #choose
  /** @type {Map<string, { tenant: string, device: string }>} */
  #names = new Map()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer

  /**
   * @param {(search: string, limit: number) => Promise<readonly { tenant: string, device: string }[]>} ask
   * @param {(device: { tenant: string, device: string }) => void} choose
   */
  constructor(ask, choose) {
    this.#ask = ask
    this.#choose = choose
    this.#input.addEventListener('input', () => {
      if (this.#take()) return
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => void this.#look(), PAUSE_MS)
    })
    this.#input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') void this.#look(true)
    })
  }

  /**
   * Shows itself where there are many.
   * @param {number} devices
   */
  offer(devices) {
    byId('find-choice', HTMLElement).hidden = devices < MANY
  }

  /** Asks for what is typed; `isFinal`: the first that is found is taken. */
  async #look(isFinal = false) {
    clearTimeout(this.#timer)
    const search = this.#input.value.trim()
    const found = search === '' ? [] : await this.#ask(search, MAX_FOUND)
    // Somebody typed on meanwhile.
    if (search !== this.#input.value.trim()) return
    this.#names = new Map(found.map((row) => [`${row.tenant}/${row.device}`, row]))
    this.#found.replaceChildren(...[...this.#names.keys()].map((name) => make('option', { value: name })))
    if (!this.#take() && isFinal && found[0] !== undefined) this.#show(found[0])
  }

  /** True when the whole name of one that was offered is there. */
  #take() {
    const row = this.#names.get(this.#input.value)
    if (row !== undefined) this.#show(row)
    return row !== undefined
  }

  /** @param {{ tenant: string, device: string }} row */
  #show(row) {
    this.#input.value = ''
    this.#found.replaceChildren()
    this.#names.clear()
    this.#choose(row)
  }
}
