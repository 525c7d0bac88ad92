import { createHash, randomBytes } from 'node:crypto'
import { Counter } from 'prom-client'
import { SluiceError } from '../../shared/errors.ts'
import { LruMap } from '../../shared/lru.ts'
import { gaugeOf, type Metrics } from '../../shared/process/metrics.ts'
import type { LiveClient } from './live-client.ts'

/** A session that nothing is asked for in this time, and that shows no live view, has been left behind. */
export const IDLE_MS = 3_600_000
/** However much it is used: a working day. */
export const LIFE_MS = 12 * 3_600_000
/** Open at a time. One more ends the one that was used longest ago. */
const MAX_SESSIONS = 1_000
const SWEEP_MS = 30_000
const PREFIX = 'session.'

/** Why a session ended. */
export type SessionEnd = 'log_out' | 'idle' | 'age' | 'displaced' | 'key_removed'

interface Session {
  readonly key: string
  readonly endsMs: number
  usedMs: number
  /** Live views that it shows: they end with it, and it is in use while there is one. */
  readonly views: Set<LiveClient>
}

/** What a browser gets for a key. */
export interface NewSession {
  readonly token: string
  readonly lastsMs: number
  readonly idleMs: number
}

/**
 * Sessions of browsers: each stands for the API key that it was opened with, in the memory of this process alone, so that a
 * restart ends all of them. A token that is stolen is worth nothing after 12 hours, or after the log-out. Tokens are held
 * as hashes; the keys themselves are kept because each use asks the registry whether the key is still one.
 */
export class BrowserSessions {
  readonly #sessions = new LruMap<string, Session>(MAX_SESSIONS)
  readonly #ended: Counter<'reason'>
  readonly #sweep: NodeJS.Timeout

  constructor(metrics: Metrics) {
    const registers = [metrics]
    gaugeOf(metrics, 'sluice_http_sessions', 'Sessions of browsers that are open', () => this.#sessions.size)
    const help = 'Sessions of browsers that ended: log_out, idle, age, displaced (too many), key_removed'
    this.#ended = new Counter({ name: 'sluice_http_sessions_ended_total', help, labelNames: ['reason'], registers })
    this.#sweep = setInterval(() => this.#endOverdue(), SWEEP_MS).unref()
  }

  /** Opens a session for a key that the registry knows. */
  open(key: string): NewSession {
    const token = `${PREFIX}${randomBytes(24).toString('base64url')}`
    const now = performance.now()
    const oldest = this.#sessions.size === this.#sessions.capacity ? this.#sessions.dropOldest() : undefined
    if (oldest !== undefined) this.#finish(oldest, 'displaced')
    this.#sessions.set(hashOf(token), { key, endsMs: now + LIFE_MS, usedMs: now, views: new Set() })
    return { token, lastsMs: LIFE_MS, idleMs: IDLE_MS }
  }

  /** The key that a session stands for, which counts as a use; undefined when there is no such session, or no more. */
  keyOf(token: string): string | undefined {
    const session = this.#sessions.get(hashOf(token))
    if (session === undefined) return undefined
    const now = performance.now()
    const end = endOf(session, now)
    if (end !== undefined) {
      this.end(token, end)
      return undefined
    }
    session.usedMs = now
    return session.key
  }

  /** Ties a live view to the session: it ends when the session does. Error: `session_ended`, meanwhile. */
  show(token: string, view: LiveClient): void {
    const session = this.#sessions.peek(hashOf(token))
    if (session === undefined) {
      view.destroy()
      throw new SluiceError('session_ended', 'The session has ended.')
    }
    session.views.add(view)
    view.once('close', () => {
      session.views.delete(view)
      session.usedMs = performance.now()
    })
  }

  end(token: string, reason: SessionEnd): void {
    const hash = hashOf(token)
    const session = this.#sessions.peek(hash)
    this.#sessions.delete(hash)
    if (session !== undefined) this.#finish(session, reason)
  }

  close(): void {
    clearInterval(this.#sweep)
    this.#sessions.clear()
  }

  #endOverdue(): void {
    const now = performance.now()
    for (const [hash, session] of this.#sessions.entries()) {
      const reason = endOf(session, now)
      if (reason === undefined) continue
      this.#sessions.delete(hash)
      this.#finish(session, reason)
    }
  }

  #finish(session: Session, reason: SessionEnd): void {
    for (const view of session.views) view.end()
    this.#ended.inc({ reason })
  }
}

/** True for what {@link BrowserSessions.open} gives: no API key looks like it. */
export function isSessionToken(token: string): boolean {
  return token.startsWith(PREFIX)
}

function endOf({ endsMs, usedMs, views }: Session, now: number): SessionEnd | undefined {
  if (now >= endsMs) return 'age'
  return views.size === 0 && now - usedMs >= IDLE_MS ? 'idle' : undefined
}

/** What a token is kept by, in memory. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
