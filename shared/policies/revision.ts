/**
 * What a record says of the policies that it is decoded by, its header `rv`: the ids of the tenant's document and of the
 * default, `{id}.{id}`, either of which may be empty. Ids follow from what a document says, so that a registry that was
 * set back cannot give the same name to something else, and saying the same again mends what it has forgotten.
 */
export const REVISION_HEADER = 'rv'

/** Undefined where neither document says anything: nothing is stamped then. */
export function formatRevision(tenant: string, fallback: string): string | undefined {
  return tenant === '' && fallback === '' ? undefined : `${tenant}.${fallback}`
}

/** The ids of both documents. A text that is no revision is one that nobody knows. */
export function parseRevision(rv: string): { readonly tenant: string; readonly fallback: string } {
  const dot = rv.indexOf('.')
  return dot < 0 ? { tenant: rv, fallback: '' } : { tenant: rv.slice(0, dot), fallback: rv.slice(dot + 1) }
}
