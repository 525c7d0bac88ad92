/** The session of this browser, and the requests made with it. */

import { refusedBy, Refused } from './refused.js'

/** @typedef {{ version?: string, mqtt?: { host?: string, port?: number } }} Status */
/** @typedef {{ tenant: string, device: string, lastSeen: string | null }} DeviceRow */
/** @typedef {{ tenant: string, device: string, username: string, secret: string, token: string }} Credentials */
/** @typedef {{ token: string, endsMs: number, idleMs: number }} Ticket what the server gave for the key; times of this clock */

/**
 * Storage of a tab, and the channel between tabs, belong to an origin, which knows the port: nothing of this reaches
 * another server on the same host, as a cookie would.
 */
const STORED = 'sluice-session'
/** Where earlier versions kept the key itself. */
const OLD_KEY = 'sluice-token'

/**
 * @typedef {object} Owner
 * @property {() => void} given another tab gave its session to this one, which had none
 * @property {(refused?: Refused) => void} ended by the server, which says why, or because another tab logged out
 */

export class Session {
  /**
   * In the memory of this tab alone, and no longer than the session would last: when a restart of the server has ended
   * it, the page goes on with a new one.
   * @type {string | undefined}
   */
  #key
  #heardMs = 0
  /** The token that the server refused last: other tabs may still offer it. */
  #refused = ''
  /** @type {Promise<boolean> | undefined} */
  #renewing
  #channel = new BroadcastChannel(STORED)
  /** @type {Owner} */
  #owner

  /** @param {Owner} owner */
  constructor(owner) {
    this.#owner = owner
    this.#channel.addEventListener('message', ({ data }) => {
      if (data.kind === 'ask' && this.#ticket !== undefined) this.#tell({ kind: 'give', ticket: this.#ticket })
      if (data.kind === 'give' && this.#ticket === undefined && data.ticket.token !== this.#refused) {
        sessionStorage.setItem(STORED, JSON.stringify(data.ticket))
        owner.given()
      }
      if (data.kind === 'log-out') {
        this.#forget()
        owner.ended()
      }
    })
  }

  get isOpen() {
    return this.#ticket !== undefined
  }

  /** Asks the other tabs of this browser; see {@link Owner}. */
  askTabs() {
    this.#tell({ kind: 'ask' })
  }

  /**
   * The key in the fragment of the address, which it leaves at once: neither history, nor a bookmark, nor a copied
   * address keeps it.
   * @returns {string | undefined}
   */
  takeKey() {
    const old = sessionStorage.getItem(OLD_KEY)
    sessionStorage.removeItem(OLD_KEY)
    const key = new URLSearchParams(location.hash.slice(1)).get('token')
    if (key === null) return old ?? undefined
    history.replaceState(null, '', location.pathname + location.search)
    return key.trim()
  }

  /**
   * Trades the key for a session; throws {@link Refused} when the server does not know it.
   * @param {string} key
   */
  async open(key) {
    const given = await this.#read(await this.#send('POST', '/v1/session', { token: key }))
    const ticket = {
      token: given.token,
      endsMs: Date.now() + given.lastsSeconds * 1_000,
      idleMs: given.idleSeconds * 1_000,
    }
    sessionStorage.setItem(STORED, JSON.stringify(ticket))
    this.#key = key
    this.heard()
    this.#tell({ kind: 'give', ticket })
  }

  /** Ends the session, here, in the other tabs and on the server; throws when the server could not be told. */
  async logOut() {
    const ticket = this.#ticket
    try {
      if (ticket !== undefined) await this.#read(await this.#send('DELETE', '/v1/session'))
    } catch (error) {
      if (!(error instanceof Refused && error.status === 401)) throw error
    } finally {
      this.#forget()
      this.#tell({ kind: 'log-out' })
    }
  }

  /** The server was heard of: to be called by whoever reads from {@link Session.stream}. */
  heard() {
    this.#heardMs = Date.now()
  }

  /**
   * @param {string} path
   * @param {Record<string, string>} [query]
   */
  get(path, query) {
    return this.#request('GET', query === undefined ? path : `${path}?${new URLSearchParams(query)}`)
  }

  /**
   * @param {string} path
   * @param {unknown} body
   */
  post(path, body) {
    return this.#request('POST', path, body)
  }

  /**
   * An answer that lasts until `signal` is aborted. Throws {@link Refused}.
   * @param {string} path
   * @param {AbortSignal} signal
   * @returns {Promise<ReadableStream<Uint8Array<ArrayBuffer>>>}
   */
  async stream(path, signal) {
    const answer = await fetch(path, { headers: this.#headers(), signal })
    if (!answer.ok || answer.body === null) throw await refusedBy(answer)
    return answer.body
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} the body as JSON; every reader takes what it knows and tolerates the rest
   */
  async #request(method, path, body) {
    const used = this.#ticket?.token
    const answer = await this.#send(method, path, body)
    if (answer.status !== 401 || used === undefined) return this.#read(answer)
    if (await this.#renewed(used)) return this.#read(await this.#send(method, path, body))
    const refused = await refusedBy(answer)
    this.#owner.ended(refused)
    throw refused
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   */
  #send(method, path, body) {
    return fetch(path, {
      method,
      headers: { ...this.#headers(), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
      // A server that accepts and never answers must not hold the page: it would say "connecting" for ever.
      signal: AbortSignal.timeout(15_000),
    })
  }

  /** @param {Response} answer */
  async #read(answer) {
    if (!answer.ok) throw await refusedBy(answer)
    this.heard()
    return answer.status === 204 ? undefined : answer.json().catch(() => ({}))
  }

  /** @returns {Record<string, string>} */
  #headers() {
    const ticket = this.#ticket
    return ticket === undefined ? {} : { authorization: `Bearer ${ticket.token}` }
  }

  /**
   * True when there is another session than the one whose token was refused.
   * @param {string} refused
   */
  #renewed(refused) {
    const ticket = this.#ticket
    if (ticket !== undefined && ticket.token !== refused) return true
    return (this.#renewing ??= this.#renew(ticket).finally(() => (this.#renewing = undefined)))
  }

  /** @param {Ticket | undefined} ticket */
  async #renew(ticket) {
    const hasEnded = ticket === undefined || Date.now() >= Math.min(ticket.endsMs, this.#heardMs + ticket.idleMs)
    if (this.#key !== undefined && !hasEnded) {
      const isKnown = await this.open(this.#key).then(
        () => true,
        (error) => {
          if (error instanceof Refused && error.status === 401) return false
          throw error
        },
      )
      if (isKnown) return true
    }
    this.#forget()
    return false
  }

  #forget() {
    this.#refused = this.#ticket?.token ?? this.#refused
    this.#key = undefined
    sessionStorage.removeItem(STORED)
  }

  /** @returns {Ticket | undefined} */
  get #ticket() {
    const text = sessionStorage.getItem(STORED)
    return text === null ? undefined : JSON.parse(text)
  }

  /** @param {{ kind: 'ask' | 'log-out' } | { kind: 'give', ticket: Ticket }} message */
  #tell(message) {
    this.#channel.postMessage(message)
  }
}
