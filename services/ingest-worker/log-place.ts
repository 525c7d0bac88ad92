/** Where a record lies: in which log, see `LogBatch.log`, and where in it. */
export interface LogPlace {
  readonly log: string
  readonly partition: number
  readonly offset: number
}

/** As text; the inverse of {@link readPlace}. */
export function writePlace({ log, partition, offset }: LogPlace): string {
  return `${partition}/${offset}/${log}`
}

/** Undefined for what {@link writePlace} never writes. */
export function readPlace(text: string | undefined): LogPlace | undefined {
  const [, partition, offset, log] = /^(\d{1,15})\/(\d{1,15})\/(.*)$/s.exec(text ?? '') ?? []
  return log === undefined ? undefined : { log, partition: Number(partition), offset: Number(offset) }
}

/** Of two places of one stream, which lies first; those of another log, or partition, are of before. */
export function liesBefore(one: LogPlace, { log, partition, offset }: LogPlace): boolean {
  return one.log !== log || one.partition !== partition || one.offset < offset
}
