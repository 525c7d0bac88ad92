/** The live connection: one EventSource, made anew after a loss. */

/** @typedef {{ tenant: string, device: string, stream: string, time: string, receivedAt: string, values: Record<string, number | boolean | string> }} Reading */
/**
 * @typedef {object} Fault what is wrong with a field, a reading (no path) or a payload (no element)
 * @property {number | null} element
 * @property {string | null} path
 * @property {string} code
 * @property {string} detail
 */
/**
 * @typedef {object} Letter what became of a client, a message or a reading that was not accepted as it was
 * @property {string} [id]
 * @property {'fault' | 'refusal' | 'warning'} kind
 * @property {string} stage
 * @property {string} code
 * @property {string} detail
 * @property {string} fix
 * @property {readonly Fault[]} faults at least one; the first is that of `code` and `detail`
 * @property {number} faultCount
 * @property {string} who
 * @property {string | null} [topic]
 * @property {string} [time]
 * @property {string} [receivedAt]
 * @property {string} [payload]
 * @property {string} [payloadBase64]
 */
/**
 * @typedef {object} Listener
 * @property {() => void} opened
 * @property {(since: Date) => void} lost called at every failed try, with the moment of the first
 * @property {() => Promise<boolean>} answers whether the server takes requests again; asked before each new try
 * @property {(reading: Reading) => void} reading
 * @property {(letter: Letter, warning: boolean) => void} letter
 * @property {(records: number) => void} skipped
 */

/**
 * EventSource gives up for good on any answer but 200 and does not say which it was, so the page does its own tries,
 * soon at first, then calmly, each after a plain request was answered.
 */
const RETRY_MS = [500, 1_000, 2_000, 5_000]

export class Stream {
  /** @type {Listener} */
  #listener
  /** @type {EventSource | undefined} */
  #source
  #tries = 0
  #timer = 0
  /** @type {Date | undefined} */
  #lostSince
  /** Counts closings: a try that waited for an answer meanwhile is void. */
  #closings = 0

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener
  }

  open() {
    this.close()
    const source = new EventSource('/v1/stream')
    this.#source = source
    source.addEventListener('open', () => {
      this.#tries = 0
      this.#lostSince = undefined
      this.#listener.opened()
    })
    source.addEventListener('error', () => this.#lost())
    this.#on(source, 'reading', (data) => this.#listener.reading(data))
    this.#on(source, 'refusal', (data) => this.#listener.letter(data, false))
    this.#on(source, 'warning', (data) => this.#listener.letter(data, true))
    this.#on(source, 'skipped', (data) => this.#listener.skipped(Number(data.records) || 0))
  }

  close() {
    this.#closings += 1
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#source = undefined
  }

  #lost() {
    this.close()
    this.#lostSince ??= new Date()
    const wait = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)]
    this.#tries += 1
    this.#timer = setTimeout(() => void this.#retry(), wait)
    this.#listener.lost(this.#lostSince)
  }

  async #retry() {
    const closings = this.#closings
    const answers = await this.#listener.answers()
    if (closings !== this.#closings) return
    if (answers) this.open()
    else this.#lost()
  }

  /**
   * @param {EventSource} source
   * @param {string} type
   * @param {(data: any) => void} take
   */
  #on(source, type, take) {
    source.addEventListener(type, (event) => take(JSON.parse(event.data)))
  }
}
