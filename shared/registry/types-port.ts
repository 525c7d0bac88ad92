import { SluiceError } from '../errors.ts'
import { checkNewName, isDeviceName, isFieldName, MAX_FIELD_NAME_BYTES } from '../names.ts'
import type { Contract, Declaration } from '../types/declaration.ts'
import type { FieldMeaning, MeaningChange, NumberType } from '../types/meaning.ts'

/**
 * What holds for messages that were received from `sinceMs` on, by their receive stamp, until the next change. What is only
 * shown, as a unit, is that of the last one.
 */
export interface TypeChange extends Declaration {
  readonly sinceMs: number
  readonly type: NumberType
  readonly who: string
  /** When it was said. */
  readonly atMs: number
}

export interface DeclaredField {
  readonly tenant: string
  readonly stream: string
  readonly field: string
}

/** All that was ever said of one field, by `sinceMs`: a message that is read again is stored as it was. */
export interface DeclaredType extends DeclaredField {
  readonly changes: readonly TypeChange[]
}

/** Declarations of all tenants, which every process has in memory. */
export const MAX_TYPE_CHANGES = 10_000

/** What contracts say of a field. */
export interface FieldContract extends DeclaredField, Contract {}

/** What was declared of fields. Errors as of `Registry`. */
export interface DeclaredTypes {
  /** Grows whenever what {@link of} answers may have changed: what others declare within about a second. */
  readonly epoch: number
  /** As far as this process knows. Fields that nobody declared have none. */
  of(field: DeclaredField): readonly TypeChange[]
  /** Fields of the stream that were ever required, as far as this process knows. */
  requiredIn(stream: Pick<DeclaredField, 'tenant' | 'stream'>): readonly DeclaredType[]
  /** False: {@link requiredIn} has none for any stream. */
  readonly areSomeRequired: boolean
  /** Resolves when the changes of this process are known to it, or could not be read. */
  known(): Promise<void>
  /** By tenant, stream and field. */
  list(tenant?: string): Promise<readonly DeclaredType[]>
  /**
   * Changes what is declared of a field, from a moment on that every process hears of it before: at once where there is one
   * process, else in five seconds. What holds already stays as it is, and what is only shown changes at once. Durable when
   * it resolves. Errors: `name_invalid`, `bad_request` (the field is no name, the meaning is none, or
   * {@link MAX_TYPE_CHANGES}), `contract_in_force`, `disk_full`.
   */
  declare(field: DeclaredField, change: MeaningChange, who: string): Promise<TypeChange>
  /**
   * Lays what contracts say over what people declared, in the place of what contracts said before: of all fields or, where it
   * rejects, of none. The fields that changed. Errors: `contract_invalid`, `bad_request`, `disk_full`.
   */
  overlay(contracts: readonly FieldContract[]): Promise<readonly DeclaredField[]>
}

/** What holds of a field for a message that was received then. */
export function changeAt<C extends Pick<TypeChange, 'sinceMs'>>(
  changes: readonly C[],
  receivedMs: number,
): C | undefined {
  return changes.findLast(({ sinceMs }) => sinceMs <= receivedMs)
}

/** What is declared of a field by now, also what holds only in a moment. */
export function meaningOf(types: Pick<DeclaredTypes, 'of'>, field: DeclaredField): FieldMeaning | undefined {
  return types.of(field).at(-1)?.meaning
}

/** What the numbers are of a message that was received then. */
export function typeAt(changes: readonly Pick<TypeChange, 'sinceMs' | 'type'>[], receivedMs: number): NumberType {
  return changeAt(changes, receivedMs)?.type ?? 'float'
}

/** Errors: `name_invalid`, `bad_request`. */
export function checkField({ tenant, stream, field }: DeclaredField): void {
  checkNewName('tenant', tenant)
  if (!isDeviceName(stream)) throw new SluiceError('name_invalid', 'stream: not the name of a stream')
  if (!isFieldName(field)) {
    throw new SluiceError('bad_request', `field: a name is text of at most ${MAX_FIELD_NAME_BYTES} bytes`)
  }
}
