import { Damage } from './damage.ts'
import { unsealed, type Sources } from './read.ts'
import type { Span } from './time.ts'

/**
 * To be called before an answer to who has not named what exists. Throws {@link Damage} when points of any series were
 * lost within the span, or when a series of which the name is lost, which may be any of the tenant's, has or had some.
 */
export function checkNames({ catalogue, files, generations, gaps }: Sources, tenant: string, span: Span): void {
  gaps.check(0, span)
  const { nameless } = catalogue
  if (nameless.length === 0) return
  const own = catalogue.tenants.idOf(tenant)
  const months = files
    .all()
    .filter((name) => name.tenant === own && files.months(name.tenant, span).includes(name.month))
  for (const id of nameless) {
    gaps.check(id, span)
    const isUnsealed = unsealed(generations, id, catalogue.typeOf(id), span).ms.length > 0
    const isSealed = () =>
      months.some((name) => files.open(name).overlapping(id, span.from, span.to).next().done !== true)
    if (isUnsealed || isSealed()) throw new Damage(gaps.file, 'the name of a series was lost', { series: id, span })
  }
}
