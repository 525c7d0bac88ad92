import { createHash } from 'node:crypto'
import type { PolicyScope } from '../policies/document.ts'
import { compareText } from '../text-order.ts'

/** What a definition is made of: source of JavaScript, or descriptors of Protocol Buffers. */
export type DecoderKind = 'codec' | 'protobuf'

export interface DecoderDefinition {
  readonly kind: DecoderKind
  /** The source of a codec; of Protocol Buffers a FileDescriptorSet in base64. */
  readonly content: string
  /** How it is used, by name: what each kind takes is in docs/codecs.md. */
  readonly options: Readonly<Record<string, string | number>>
}

/** A definition as it was at one time, without its content. */
export interface DecoderRevision {
  /** A tenant, or everybody's. */
  readonly scope: PolicyScope
  readonly name: string
  /** 1 for the first of its name in the scope, and one more each time. */
  readonly revision: number
  /** See {@link idOfDefinition}; empty for one that was removed. */
  readonly id: string
  readonly kind: DecoderKind
  readonly bytes: number
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string
  readonly options: DecoderDefinition['options']
  readonly atMs: number
  readonly who: string
}

/** Characters of a content, at most: the largest codecs of vendors have some 100 KB. */
export const MAX_DECODER_CHARACTERS = 384 * 1024
/** Definitions in force of one scope. */
export const MAX_DECODERS_PER_SCOPE = 200
/** All revisions that ever were: they are kept for good, because records of the log name them. */
export const MAX_DECODER_REVISIONS = 10_000

/** Hexadecimal digits of an id, as of a policy: policies name a definition as `codec:{name}@{id}`. */
const ID_DIGITS = 16

/** What tells the definition from all others, whatever it is called. */
export function idOfDefinition({ kind, content, options }: DecoderDefinition): string {
  const sorted = Object.entries(options).sort(([a], [b]) => compareText(a, b))
  return sha256Of(JSON.stringify([kind, content, sorted])).slice(0, ID_DIGITS)
}

export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Uploaded decoders, and all that ever were. A policy in force that names one names its content, too, and is changed in the
 * same step as the definition: records of the log are decoded by what was in force when they came. Errors as of `Registry`.
 */
export interface Decoders {
  /**
   * Puts it in force for those policies that name it, durable when it resolves. Of the same content as before: nothing
   * changes but that workers try it again. Errors: `name_invalid`, `decoder_invalid` (another kind than before, or too
   * much), `disk_full`.
   */
  put(change: {
    readonly scope: PolicyScope
    readonly name: string
    readonly definition: DecoderDefinition
    readonly who: string
  }): Promise<DecoderRevision>
  /** Errors: `not_found`; `decoder_in_use`, naming a policy. */
  remove(scope: PolicyScope, name: string, who: string): Promise<void>
  /** In force. */
  read(scope: PolicyScope, name: string): Promise<(DecoderRevision & { readonly content: string }) | undefined>
  /** In force of all scopes, or of one. */
  list(scope?: { readonly scope: PolicyScope }): Promise<readonly DecoderRevision[]>
  /** By their ids, whosever they are or were. */
  find(ids: readonly string[]): Promise<ReadonlyMap<string, DecoderDefinition>>
  /** Calls back whenever one was put in force: those that were paused are tried again. Gives the unsubscribe. */
  onPut(listener: () => void): () => void
}
