import type { Asked, Failure, Said } from '../../process/thread-client.ts'
import type { MAX_SHARED, RetainedBounds } from '../bounds.ts'
import type { StoredSubscription } from '../port.ts'

/** What passes between {@link SqliteSessions} and the thread that owns the file. Messages are bytes, encoded. */

export interface ThreadOptions {
  readonly file: string
  readonly bounds: Bounds
}

export interface Bounds {
  /** Persistent sessions of one login. */
  readonly sessions: number
  readonly wideSessions: number
  readonly messages: number
  readonly messageBytes: number
  readonly retained: RetainedBounds
  readonly shared: typeof MAX_SHARED
}

export interface ClaimAsk {
  readonly clientId: string
  readonly clean: boolean
  readonly isNew: boolean
  readonly expiry: number | undefined
}

export interface InLogChange {
  readonly clientId: string
  readonly id: number
  /** Undefined: the id is forgotten. */
  readonly digest: number | undefined
}

export interface QueuedRow {
  readonly number: number
  readonly messageId: number | undefined
  readonly isReleased: boolean
  readonly bytes: Uint8Array
}

/** A message for a member of a group that is connected; `number` 0 when it is not kept. */
export interface HandedRow {
  readonly clientId: string
  readonly share: string
  readonly number: number
  readonly qos: number
  readonly bytes: Uint8Array
}

export interface DueWill {
  readonly clientId: string
  /** By which it is taken off when it was published. */
  readonly takenUntil: number
  readonly bytes: Uint8Array
}

/** What there is, for metrics. */
export interface Figures {
  /** Transactions that were synced. */
  readonly commits: number
  readonly retained: number
  readonly retainedBytes: number
  readonly fileBytes: number
}

export interface Calls {
  /** `inLog`: packet ids and digests by turns. */
  claim: { ask: ClaimAsk; answer: { isPresent: boolean; hasMadeRoom: boolean; inLog: readonly number[] } }
  release: { ask: { clientId: string; clean: boolean; expiry: number | undefined }; answer: undefined }
  subscribe: { ask: { clientId: string; subscriptions: readonly StoredSubscription[] }; answer: undefined }
  unsubscribe: { ask: { clientId: string; filters: readonly string[] }; answer: undefined }
  subscriptions: { ask: string; answer: StoredSubscription[] }
  join: { ask: { clientId: string; share: string; qos: number; clean: boolean }; answer: undefined }
  leave: { ask: { clientId: string; share: string }; answer: undefined }
  passOn: { ask: { clientId: string; number: number }; answer: undefined }
  send: {
    ask: { topic: string; qos: number; bytes: Uint8Array }
    answer: { number: number; stored: number; full: number }
  }
  queue: { ask: { clientId: string; after: number }; answer: { rows: QueuedRow[]; damaged: number } }
  deliver: {
    ask: { clientId: string; number: number; messageId: number; isReleased: boolean; isAwaited: boolean }
    answer: undefined
  }
  acknowledge: { ask: { clientId: string; number: number }; answer: undefined }
  noteIncoming: { ask: { clientId: string; messageId: number }; answer: undefined }
  hasIncoming: { ask: { clientId: string; messageId: number }; answer: boolean }
  dropIncoming: { ask: { clientId: string; messageId: number }; answer: undefined }
  writeInLog: { ask: readonly InLogChange[]; answer: undefined }
  /** Without bytes the topic has none any more; the answer is false when there is no room. */
  keep: { ask: { topic: string; bytes: Uint8Array | undefined; isAwaited: boolean }; answer: boolean }
  /** Those from a topic on, some at a time; `next` is where to go on. */
  retained: {
    ask: { filters: readonly string[]; from: string }
    answer: { messages: Uint8Array[]; next: string | undefined; damaged: number }
  }
  putWill: { ask: { clientId: string; delay: number; bytes: Uint8Array }; answer: undefined }
  dropWill: { ask: string; answer: undefined }
  postponeWill: { ask: { clientId: string; ms: number; bytes: Uint8Array }; answer: undefined }
  willDone: { ask: Pick<DueWill, 'clientId' | 'takenUntil'>; answer: undefined }
  forget: { ask: { prefix: string; place: string | undefined }; answer: undefined }
  /** From now on sessions end, and wills are due. */
  begin: { ask: undefined; answer: undefined }
  figures: { ask: undefined; answer: Figures }
  /** Copies everything into a file that does not exist yet. */
  snapshot: { ask: string; answer: undefined }
  close: { ask: undefined; answer: undefined }
}

export type Question = keyof Calls
export type ToThread = Asked<Calls>
export type Answers = {
  readonly [Q in Exclude<Question, 'close' | 'begin' | 'snapshot'>]: (ask: Calls[Q]['ask']) => Calls[Q]['answer']
}

/** What was found damaged when the file was opened; undefined when nothing was. */
export interface Opened {
  readonly damage: string | undefined
}

export type SessionEvent =
  | { readonly kind: 'wills'; readonly due: readonly DueWill[] }
  | { readonly kind: 'shared'; readonly handed: readonly HandedRow[] }
  | { readonly kind: 'trouble'; readonly failure: Failure }

export type FromThread = Said<Opened, SessionEvent>
