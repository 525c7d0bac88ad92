import { ago, byId, setText } from './dom.js'

/** @typedef {import('./session.js').Session} Session */

const RENEW_MS = 10_000

/** Whether the device that is shown is online, and when anything came of it last. */
export class Heard {
  /** @type {Session} */
  #session
  #path = ''
  #text = ''
  #lastMs = Number.NaN
  #loaded = 0

  /** @param {Session} session */
  constructor(session) {
    this.#session = session
  }

  /**
   * @param {string} tenant
   * @param {string} device
   */
  choose(tenant, device) {
    this.#path = `/v1/devices/${encodeURIComponent(tenant)}/${encodeURIComponent(device)}`
    this.#text = ''
    this.#loaded = 0
    this.tick()
  }

  /** To be called each second. */
  tick() {
    const now = Date.now()
    if (now - this.#loaded >= RENEW_MS) {
      this.#loaded = now
      void this.#load(this.#path)
    }
    const last = Number.isNaN(this.#lastMs) ? '' : `, heard ${ago(now - this.#lastMs)}`
    setText(byId('heard', HTMLElement), this.#text === '' ? 'not known' : `${this.#text}${last}`)
  }

  /** @param {string} path */
  async #load(path) {
    // Asked again in a while; who is not let in sees so elsewhere.
    const found = await this.#session.get(path).catch(() => null)
    if (path !== this.#path) return
    this.#text = found === null ? '' : found.connected ? 'online' : 'offline'
    this.#lastMs = Date.parse(found?.lastHeard ?? '')
  }
}
