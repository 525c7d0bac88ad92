import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isLoopback, networksOf } from '../addresses.ts'

export interface ScraperSettings {
  readonly METRICS_TOKEN: string | undefined
  /** Addresses and networks. */
  readonly METRICS_FROM: readonly string[]
}

/** Who asks for metrics: the client's address, behind listed proxies, and whether another proxy handed the request on. */
export interface Scrape {
  readonly address: string
  readonly isHandedOn: boolean
  readonly headers: IncomingHttpHeaders
}

/** What proxies add. Not all do, so an address alone is trusted only where somebody named it, or where no proxy is expected. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'] as const

/** Whether a request has passed a proxy that tells of itself. */
export function isHandedOn(headers: IncomingHttpHeaders): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined)
}

/**
 * Who may read `/metrics`: whoever asks from an address of METRICS_FROM, and whoever brings METRICS_TOKEN. A request that a
 * proxy handed on has no address of its own.
 */
export class Scrapers {
  readonly #token: Buffer | undefined
  readonly #isNamed: (address: string) => boolean
  readonly #isUnset: boolean

  constructor({ METRICS_TOKEN: token, METRICS_FROM: from }: ScraperSettings) {
    this.#token = token === undefined ? undefined : hashOf(token)
    this.#isNamed = networksOf(from)
    this.#isUnset = token === undefined && from.length === 0
  }

  mayRead({ address, isHandedOn: isIndirect, headers }: Scrape): boolean {
    if (!isIndirect && this.#isNamed(address)) return true
    const presented = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
    return presented !== undefined && this.#token !== undefined && timingSafeEqual(hashOf(presented), this.#token)
  }

  /**
   * The same on a port that nobody has a reason to put a proxy in front of: while neither setting is set, this machine may read
   * there, too. The name in Host is one of loopback, or a page of another site made its own name point here.
   */
  mayReadLocally(scrape: Scrape): boolean {
    if (this.mayRead(scrape)) return true
    const host = (scrape.headers.host ?? '').replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1')
    return this.#isUnset && !scrape.isHandedOn && isLoopback(scrape.address) && isLoopback(host)
  }
}

/** Of one length, as the comparison in constant time needs it. */
function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
