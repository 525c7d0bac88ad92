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

/**
 * What the server said of a request that it refused.
 * @param {Response} answer
 */
export async function refusedBy(answer) {
  const value = await answer.json().catch(() => ({}))
  return new Refused(
    answer.status,
    String(value.code ?? `http_${answer.status}`),
    String(value.detail ?? value.title ?? answer.statusText),
    String(value.fix ?? ''),
  )
}
