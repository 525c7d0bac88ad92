import type { Kysely, Transaction } from 'kysely'
import { SluiceError } from '../../errors.ts'
import { checkNewName } from '../../names.ts'
import type { PolicyScope } from '../../policies/document.ts'
import { formatUploadedName, uploadedNamesOf, withUploadedNames } from '../../policies/uploaded-names.ts'
import {
  idOfDefinition,
  MAX_DECODER_CHARACTERS,
  MAX_DECODER_REVISIONS,
  MAX_DECODERS_PER_SCOPE,
  sha256Of,
  type DecoderDefinition,
  type DecoderRevision,
  type Decoders,
} from '../decoders-port.ts'
import type { ChangeFeed } from './change-feed.ts'
import { newestDecoder } from './decoder-pins.ts'
import { changePolicies, POLICIES_CHANGED, type SqlPolicies } from './policy-store.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'
import type { SqlFlavour } from './sql-flavour.ts'

type Trx = Transaction<RegistrySchema>
type Row = RegistrySchema['decoders']
type Change = Parameters<Decoders['put']>[0]

/** What the change feed is told when a decoder was uploaded: no login has such a name. */
export const DECODERS_CHANGED = '\u001edecoders'
const COLUMNS = ['scope', 'name', 'revision', 'id', 'kind', 'bytes', 'sha256', 'options', 'at_ms', 'who'] as const

interface Parts {
  readonly database: RegistryDatabase
  readonly changes: ChangeFeed
  readonly flavour: SqlFlavour
  readonly policies: SqlPolicies
}

/** Uploaded decoders in the registry. Nothing is kept in memory: whoever decodes has what it uses by its id. */
export class SqlDecoders implements Decoders {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async put({ scope, name, definition, who }: Change): Promise<DecoderRevision> {
    if (scope !== undefined) checkNewName('tenant', scope)
    checkNewName('decoder', name)
    if (definition.content.length > MAX_DECODER_CHARACTERS) {
      throw invalid(`${name} has ${definition.content.length} characters, more than ${MAX_DECODER_CHARACTERS}`)
    }
    const at = { scope: scope ?? '', name, who: who.slice(0, 256).toWellFormed() }
    const id = idOfDefinition(definition)
    const row = await this.#change(async (trx) => {
      const newest = await newestDecoder(trx, at.scope, name)
      if (newest?.id === id) return read(trx, at.scope, name)
      if (newest !== undefined && newest.id !== '' && newest.kind !== definition.kind) {
        throw invalid(`${name} is a ${newest.kind}, and stays one until it is removed`)
      }
      if (newest === undefined || newest.id === '') await checkCount(trx, at.scope)
      const made = rowOf(definition, { ...at, id, revision: (newest?.revision ?? 0) + 1 })
      await this.#insert(trx, made)
      const whose = await scopesOf(trx, at.scope, name)
      await changePolicies(trx, at.who, (document, ofPolicy) =>
        withUploadedNames(document, (one) => {
          const isIt = one.name === name && one.kind === definition.kind && whose(ofPolicy)
          return isIt ? formatUploadedName(one, id) : one.text
        }),
      )
      return made
    })
    if (row === undefined) throw invalid(`${name} changed meanwhile: try again`)
    return fromRow(row)
  }

  async remove(scope: PolicyScope, name: string, who: string): Promise<void> {
    const at = { scope: scope ?? '', name, who: who.slice(0, 256).toWellFormed() }
    await this.#change(async (trx) => {
      const newest = await newestDecoder(trx, at.scope, name)
      if (newest === undefined || newest.id === '') throw new SluiceError('not_found', `no decoder ${name}`)
      const whose = await scopesOf(trx, at.scope, name)
      await changePolicies(trx, at.who, (document, ofPolicy) => {
        const isUsed = uploadedNamesOf(document).some((one) => one.name === name && one.kind === newest.kind)
        if (!isUsed || !whose(ofPolicy)) return document
        const by = ofPolicy === undefined ? 'the default policy' : `the policy of tenant ${ofPolicy}`
        throw new SluiceError('decoder_in_use', `${newest.kind}:${name} is named by ${by}`)
      })
      const nothing = { kind: newest.kind, content: '', options: {} }
      await this.#insert(trx, rowOf(nothing, { ...at, id: '', revision: newest.revision + 1 }))
    })
  }

  async read(scope: PolicyScope, name: string): Promise<(DecoderRevision & { content: string }) | undefined> {
    const row = await this.#parts.database.run((db) => read(db, scope ?? '', name))
    return row === undefined || row.id === '' ? undefined : { ...fromRow(row), content: row.content }
  }

  async list(of?: { readonly scope: PolicyScope }): Promise<readonly DecoderRevision[]> {
    const rows = await this.#parts.database.run((db) => {
      const query = inForce(db).select(COLUMNS.map((column) => `decoders.${column}` as const))
      const asked = of === undefined ? query : query.where('decoders.scope', '=', of.scope ?? '')
      return asked.orderBy('decoders.scope').orderBy('decoders.name').execute()
    })
    return rows.map(fromRow)
  }

  async find(ids: readonly string[]): Promise<ReadonlyMap<string, DecoderDefinition>> {
    const found = new Map<string, DecoderDefinition>()
    for (const part of chunks(ids.filter((id) => id !== ''))) {
      const rows = await this.#parts.database.run((db) =>
        db.selectFrom('decoders').select(['id', 'kind', 'content', 'options']).where('id', 'in', part).execute(),
      )
      for (const { id, kind, content, options } of rows) found.set(id, { kind, content, options: parse(options) })
    }
    return found
  }

  onPut(listener: () => void): () => void {
    return this.#parts.changes.listen((name) => {
      if (name === DECODERS_CHANGED) listener()
    })
  }

  async #change<T>(work: (trx: Trx) => Promise<T>): Promise<T> {
    const { database, changes, policies } = this.#parts
    database.checkRoom()
    const result = await changes.apply([DECODERS_CHANGED, POLICIES_CHANGED], work)
    await policies.known()
    return result
  }

  async #insert(trx: Trx, row: Row): Promise<void> {
    try {
      await trx.insertInto('decoders').values(row).execute()
    } catch (error) {
      // Another process was first, between the look and the insert.
      throw this.#parts.flavour.isDuplicate(error) ? invalid(`${row.name} changed meanwhile: try again`) : error
    }
  }
}

/** Of which policies the names are those of this scope: a tenant's own decoder stands before everybody's. */
async function scopesOf(trx: Trx, scope: string, name: string): Promise<(ofPolicy: PolicyScope) => boolean> {
  if (scope !== '') return (ofPolicy) => ofPolicy === scope
  const rows = await inForce(trx).select('decoders.scope').where('decoders.name', '=', name).execute()
  const owners = new Set(rows.map((row) => row.scope))
  return (ofPolicy) => ofPolicy === undefined || !owners.has(ofPolicy)
}

async function checkCount(trx: Trx, scope: string): Promise<void> {
  const all = await trx
    .selectFrom('decoders')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirst()
  if (Number(all?.count ?? 0) >= MAX_DECODER_REVISIONS) {
    throw invalid(`decoders were uploaded ${MAX_DECODER_REVISIONS} times, which is the most`)
  }
  const own = await inForce(trx).select('decoders.name').where('decoders.scope', '=', scope).execute()
  if (own.length >= MAX_DECODERS_PER_SCOPE) {
    throw invalid(`there are ${own.length} decoders, which is the most of one tenant, or of everybody`)
  }
}

function read(db: Kysely<RegistrySchema>, scope: string, name: string): Promise<Row | undefined> {
  const query = db.selectFrom('decoders').selectAll().where('scope', '=', scope).where('name', '=', name)
  return query.orderBy('revision', 'desc').limit(1).executeTakeFirst()
}

/** The newest row of each name, without those that were removed. */
function inForce(db: Kysely<RegistrySchema>) {
  const newest = db
    .selectFrom('decoders')
    .select(['scope', 'name', (eb) => eb.fn.max('revision').as('revision')])
    .groupBy(['scope', 'name'])
    .as('newest')
  return db
    .selectFrom('decoders')
    .innerJoin(newest, (join) =>
      join
        .onRef('newest.scope', '=', 'decoders.scope')
        .onRef('newest.name', '=', 'decoders.name')
        .onRef('newest.revision', '=', 'decoders.revision'),
    )
    .where('decoders.id', '!=', '')
}

function rowOf(
  { kind, content, options }: DecoderDefinition,
  at: Pick<Row, 'scope' | 'name' | 'revision' | 'id' | 'who'>,
): Row {
  const own = { kind, content, bytes: content.length, sha256: sha256Of(content), options: JSON.stringify(options) }
  return { ...at, ...own, at_ms: Date.now() }
}

function fromRow({ scope, options, at_ms: atMs, ...row }: Pick<Row, (typeof COLUMNS)[number]>): DecoderRevision {
  const { name, revision, id, kind, bytes, sha256, who } = row
  const own = { name, revision, id, kind, bytes, sha256, options: parse(options), atMs, who }
  return { scope: scope === '' ? undefined : scope, ...own }
}

function parse(text: string): DecoderDefinition['options'] {
  return JSON.parse(text) as DecoderDefinition['options'] // our own text
}

function invalid(detail: string): SluiceError {
  return new SluiceError('decoder_invalid', detail)
}
