import type { Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import type { PolicyDocument, PolicyScope } from '../../policies/document.ts'
import { formatUploadedName, uploadedNamesOf, withUploadedNames } from '../../policies/uploaded-names.ts'
import type { RegistrySchema } from './schema.ts'

type Trx = Transaction<RegistrySchema>

/** The newest revision of a name in a scope as it is stored; without its content. */
export function newestDecoder(trx: Trx, scope: string, name: string) {
  const query = trx.selectFrom('decoders').select(['id', 'kind', 'revision'])
  const ofName = query.where('scope', '=', scope).where('name', '=', name)
  return ofName.orderBy('revision', 'desc').limit(1).executeTakeFirst()
}

/**
 * The document with the content of each uploaded decoder that it names: the tenant's, or else everybody's. Error:
 * `policy_invalid` for one that there is not, or that names another content than what is in force; unless it may be missing:
 * then its name stays, for an upload to complete.
 */
export async function pinDecoders(
  trx: Trx,
  scope: PolicyScope,
  document: PolicyDocument,
  mayBeMissing = false,
): Promise<PolicyDocument> {
  const names = uploadedNamesOf(document)
  if (names.length === 0) return document
  const found = new Map<string, string>()
  for (const { kind, name, id, text } of names) {
    const own = scope === undefined ? undefined : await newestDecoder(trx, scope, name)
    const isOwn = own !== undefined && own.id !== ''
    const row = isOwn ? own : await newestDecoder(trx, '', name)
    const isThere = row !== undefined && row.id !== '' && row.kind === kind
    if (isThere && (id === undefined || id === row.id)) found.set(text, row.id)
    else if (!mayBeMissing) {
      const problem = isThere
        ? `of the ${kind} ${name} ${row.id} is in force, not ${id}`
        : `no ${kind} ${name} was uploaded`
      throw new SluiceError('policy_invalid', `decoder: ${problem}`)
    }
  }
  return withUploadedNames(document, (one) => {
    const id = found.get(one.text)
    return id === undefined ? one.text : formatUploadedName(one, id)
  })
}
