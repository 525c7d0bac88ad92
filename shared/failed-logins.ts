import { isLoopback, siteOf } from './addresses.ts'
import { LruMap } from './lru.ts'

/** Failed logins of one address before it has to wait: room for a site where many devices have a wrong secret. */
const BURST = 30
/** How fast they are forgiven. Secrets have 128 bits and more: this bounds noise and work, not guessing. */
const PER_SECOND = 1
/** Addresses remembered; an attacker with more than these is not stopped by counting addresses. */
const MAX_ADDRESSES = 10_000

/** Counts failed logins per address (IPv6: per /64, which is one site). Loopback is never limited. */
export interface FailedLogins {
  readonly size: number
  note(address: string): void
  isLimited(address: string): boolean
}

export function createFailedLogins(): FailedLogins {
  const failures = new LruMap<string, { count: number; at: number }>(MAX_ADDRESSES)
  const remaining = ({ count, at }: { count: number; at: number }, now: number): number =>
    Math.max(0, count - ((now - at) / 1000) * PER_SECOND)
  return {
    get size() {
      return failures.size
    },
    note(address) {
      if (isLoopback(address)) return
      const site = siteOf(address)
      const now = performance.now()
      const known = failures.peek(site)
      // Never above the burst: waiting a minute is enough however long somebody has been failing.
      const count = Math.min(BURST, known === undefined ? 0 : remaining(known, now))
      failures.set(site, { count: count + 1, at: now })
    },
    isLimited(address) {
      if (failures.size === 0 || isLoopback(address)) return false
      const known = failures.peek(siteOf(address))
      return known !== undefined && remaining(known, performance.now()) >= BURST
    },
  }
}
