/** What numbers of a field are: doubles, or whole numbers of 64 bits, which are exact. */
export type NumberType = 'float' | 'integer'

/** What the numbers are in messages that were received from `sinceMs` on, by their receive stamp, until the next change. */
export interface TypeChange {
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

/** Which fields were declared to have integers. Errors as of `Registry`. */
export interface DeclaredTypes {
  /** Grows whenever what {@link of} answers may have changed: what others declare within about a second. */
  readonly epoch: number
  /** As far as this process knows. Fields that nobody declared have none. */
  of(field: DeclaredField): readonly TypeChange[]
  /** Resolves when the changes of this process are known to it, or could not be read. */
  known(): Promise<void>
  /** By tenant, stream and field. */
  list(tenant?: string): Promise<readonly DeclaredType[]>
  /**
   * Says what the numbers are from a moment on that every process hears of it before: at once where there is one process,
   * else in five seconds. What holds already stays as it is. Durable when it resolves. Errors: `name_invalid`,
   * `bad_request` (the field is no name, or {@link MAX_TYPE_CHANGES}), `disk_full`.
   */
  declare(field: DeclaredField, type: NumberType, who: string): Promise<TypeChange>
}

/** What the numbers are of a message that was received then. */
export function typeAt(changes: readonly Pick<TypeChange, 'sinceMs' | 'type'>[], receivedMs: number): NumberType {
  return changes.findLast(({ sinceMs }) => sinceMs <= receivedMs)?.type ?? 'float'
}
