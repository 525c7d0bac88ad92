/** The token and the requests made with it. */

/** @typedef {{ version?: string, mqtt?: { host?: string, port?: number } }} Status */
/** @typedef {{ tenant: string, device: string, lastSeen: string | null }} DeviceRow */
/** @typedef {{ tenant: string, device: string, username: string, secret: string, token: string }} Credentials */

const KEY = 'sluice-token'

/** An answer that is no success: what the server said, in its own words. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} detail
   * @param {string} fix
   */
  constructor(status, code, detail, fix) {
    super(detail)
    this.status = status
    this.code = code
    this.fix = fix
  }
}

export class Session {
  /** Kept for this tab only: mutating requests need it as a header, the cookie serves reading alone. */
  get token() {
    return sessionStorage.getItem(KEY) ?? undefined
  }

  /**
   * The token in the fragment of the address, which it leaves at once: neither history, nor a bookmark, nor a copied
   * address keeps it.
   * @returns {string | undefined}
   */
  takeFromAddress() {
    const token = new URLSearchParams(location.hash.slice(1)).get('token')
    if (token === null) return undefined
    history.replaceState(null, '', location.pathname + location.search)
    return token.trim()
  }

  /**
   * Resolves when the server knows the token; throws {@link Refused} when it does not.
   * @param {string} token
   */
  async open(token) {
    try {
      await this.#request('POST', '/v1/session', { token })
      sessionStorage.setItem(KEY, token)
    } catch (error) {
      if (error instanceof Refused && error.status === 401) sessionStorage.removeItem(KEY)
      throw error
    }
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
   * @param {string} method
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>} the body as JSON; every reader takes what it knows and tolerates the rest
   */
  async #request(method, path, body) {
    /** @type {Record<string, string>} */
    const headers = {}
    if (this.token !== undefined) headers['authorization'] = `Bearer ${this.token}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    const answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      // A server that accepts and never answers must not hold the page: it would say "connecting" for ever.
      signal: AbortSignal.timeout(15_000),
    })
    if (answer.status === 204) return undefined
    const value = await answer.json().catch(() => ({}))
    if (answer.ok) return value
    throw new Refused(
      answer.status,
      String(value.code ?? `http_${answer.status}`),
      String(value.detail ?? value.title ?? answer.statusText),
      String(value.fix ?? ''),
    )
  }
}
