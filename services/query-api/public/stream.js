/** The live connection: one answer that lasts, asked for anew after a loss. */

import { EventSourceParserStream } from '/vendor/eventsource-parser/stream.js'

/** @typedef {import('./session.js').Session} Session */

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
 * Read with fetch, because EventSource sends no header and so would need a cookie, which every port of the host gets.
 * After a loss the page tries again, soon at first, then calmly, each time after a plain request was answered.
 */
const RETRY_MS = [500, 1_000, 2_000, 5_000]
/** The server says something every 15 s: one that is silent for so long is gone, even if its connection is not. */
const SILENCE_MS = 45_000
/** An event larger than this is not one of ours. */
const MAX_EVENT_LENGTH = 16_777_216

export class Stream {
  #session
  /** @type {Listener} */
  #listener
  /** @type {AbortController | undefined} */
  #reading
  #silence = 0
  #tries = 0
  #timer = 0
  /** @type {Date | undefined} */
  #lostSince
  /** Counts closings: a try that waited for an answer meanwhile is void. */
  #closings = 0

  /**
   * @param {Session} session
   * @param {Listener} listener
   */
  constructor(session, listener) {
    this.#session = session
    this.#listener = listener
  }

  open() {
    this.close()
    const reading = new AbortController()
    this.#reading = reading
    // However it ends, by an error or by the server, it is lost; an end of our own is not.
    const ended = () => {
      if (this.#reading === reading) this.#lost()
    }
    void this.#read(reading).then(ended, ended)
  }

  close() {
    this.#closings += 1
    clearTimeout(this.#timer)
    clearTimeout(this.#silence)
    const reading = this.#reading
    this.#reading = undefined
    reading?.abort()
  }

  /** @param {AbortController} reading */
  async #read(reading) {
    const heard = () => {
      this.#session.heard()
      clearTimeout(this.#silence)
      if (this.#reading === reading) this.#silence = setTimeout(() => reading.abort(), SILENCE_MS)
    }
    heard()
    const body = await this.#session.stream('/v1/stream', reading.signal)
    if (this.#reading !== reading) return
    this.#tries = 0
    this.#lostSince = undefined
    this.#listener.opened()
    const parser = new EventSourceParserStream({ maxBufferSize: MAX_EVENT_LENGTH, onComment: heard })
    const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(parser).getReader()
    for (;;) {
      const { value, done } = await events.read()
      if (done || this.#reading !== reading) return
      heard()
      this.#take(value.event, JSON.parse(value.data))
    }
  }

  /**
   * @param {string | undefined} event
   * @param {any} data
   */
  #take(event, data) {
    if (event === 'reading') this.#listener.reading(data)
    else if (event === 'refusal') this.#listener.letter(data, false)
    else if (event === 'warning') this.#listener.letter(data, true)
    else if (event === 'skipped') this.#listener.skipped(Number(data.records) || 0)
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
}
