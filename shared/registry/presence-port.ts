import type { DeviceName } from './names.ts'

/** One session of a device, as the broker node that holds it last said. */
export interface PresenceRecord extends DeviceName {
  readonly clientId: string
  /** Of the session: one that began later has a greater one; 0 for one that could not be numbered. */
  readonly epoch: number
  readonly connected: boolean
  readonly node: string
  /** Whole milliseconds since 1970: when it connected, or when it was last heard before that ended. */
  readonly sinceMs: number
  readonly address: string
  /** Why the connection ended, a word; undefined while it lasts. */
  readonly reason: string | undefined
}

/** `reason` of a session whose node was killed: since when nothing was heard is not known, only when others noticed. */
export const NODE_LOST = 'node_lost'

/** `code` of a device that makes more streams or fields than it may; written by the workers. */
export const FIELDS_LIMIT = 'fields'

/** A limit that acted on a device: `code` says which, `limit` how much it allows. */
export interface DeviceLimitRecord extends DeviceName {
  readonly code: string
  readonly limit: number
  readonly sinceMs: number
  readonly lastMs: number
  readonly count: number
}

/** Which devices are connected where, and which limits act on them: written by the broker nodes. Errors as of `Registry`. */
export interface Presence {
  /**
   * Writes what changed, of each session the last change only. A session that began earlier than the one that is known
   * of the same client id changes nothing. Sessions of a device that ended are forgotten when another of it begins.
   */
  record(changes: readonly PresenceRecord[]): Promise<void>
  /** All sessions that a node had end for this reason: it starts, or it is dead. */
  endNode(node: string, reason: string, sinceMs: number): Promise<void>
  /** Live ones first, then the newest. */
  of(tenant: string, device: string): Promise<readonly PresenceRecord[]>
  /** Sessions of all these devices, in no order. */
  ofAll(devices: readonly DeviceName[]): Promise<readonly PresenceRecord[]>
  recordLimits(limits: readonly DeviceLimitRecord[]): Promise<void>
  /** Those with this code that acted after a moment, at most 1,000: the oldest first. */
  limitsAfter(code: string, lastMs: number): Promise<readonly DeviceLimitRecord[]>
  /** The newest first. */
  limitsOf(tenant: string, device: string): Promise<readonly DeviceLimitRecord[]>
}
