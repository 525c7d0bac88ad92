import type { Kysely } from 'kysely'
import { toSluiceError } from '../../errors.ts'
import { gaugeOf } from '../../process/metrics.ts'
import type { Logger } from '../../process/logger.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { RegistryParts } from './new-devices.ts'
import { deleteCredentials, type FoundCredential } from './queries-credentials.ts'
import { chunks } from './queries-rows.ts'
import type { RegistryDatabase } from './registry-database.ts'
import type { RegistrySchema } from './schema.ts'

/** How exactly the last use is known: a fleet that reconnects every minute writes once an hour for each device. */
const LAST_USED_MS = 3_600_000
/** Uses are gathered for so long, and written as one. */
const FLUSH_MS = 10_000
/** Uses that wait: more than log in within {@link FLUSH_MS}; what comes beyond is noted at its next login. */
const MAX_WAITING = 50_000

/**
 * When credentials were used: coarsely, and gathered, because every login would be a write otherwise. The first use of
 * one that was made by a rotation ends the one before; it is written at once, and again later if that fails.
 */
export class CredentialUses {
  readonly #database: RegistryDatabase
  readonly #changes: ChangeFeed
  readonly #logger: Logger
  #waiting = new Set<string>()
  /** First uses that decide something, by credential: being written, or to be written again. */
  readonly #deciding = new Map<string, { readonly principal: string; writing: Promise<void> | undefined }>()
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ database, changes, logger, metrics }: RegistryParts) {
    this.#database = database
    this.#changes = changes
    this.#logger = logger
    gaugeOf(
      metrics,
      'sluice_registry_uses_waiting',
      'Uses of credentials not yet recorded',
      () => this.#waiting.size + this.#deciding.size,
    )
  }

  /** Never rejects: who logs in with a good credential is let in, whether or not that can be noted. */
  async note(found: FoundCredential): Promise<void> {
    const { credential, principal } = found
    const isFirst = found.first_used_ms === null
    if (isFirst && (found.replaces === 1 || found.claim_key !== null)) return this.#decide(credential, principal)
    if (!isFirst && Date.now() - (found.last_used_ms ?? 0) < LAST_USED_MS) return
    if (this.#closed || this.#waiting.size >= MAX_WAITING) return
    this.#waiting.add(credential)
    this.#schedule()
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#flush()
  }

  async #decide(credential: string, principal: string): Promise<void> {
    // The registry takes no writes, and more rotate than can be remembered: the old ones end by their time.
    if (this.#deciding.size >= MAX_WAITING && !this.#deciding.has(credential)) return
    const known = this.#deciding.get(credential) ?? { principal, writing: undefined }
    this.#deciding.set(credential, known)
    known.writing ??= this.#begin(credential, principal).then((done) => {
      known.writing = undefined
      if (done) this.#deciding.delete(credential)
      else this.#schedule()
    })
    return known.writing
  }

  /** Marks the first use and ends the older credentials of the login. False when it could not be written. */
  async #begin(credential: string, principal: string): Promise<boolean> {
    try {
      await this.#changes.apply([principal], async (trx) => {
        const now = Date.now()
        const pair = trx.selectFrom('credential_pairs').selectAll().where('credential', '=', credential)
        const found = await pair.executeTakeFirst()
        if (found === undefined || found.first_used_ms !== null) return
        const used = { first_used_ms: now, last_used_ms: now }
        await trx.updateTable('credential_pairs').set(used).where('credential', '=', credential).execute()
        if (found.replaces !== 1) return
        const others = trx.selectFrom('credential_pairs').select('credential').where('principal', '=', principal)
        const rows = await others.where('credential', '!=', credential).execute()
        await deleteCredentials(
          trx,
          rows.map((row) => row.credential),
        )
        await trx.deleteFrom('imported_passwords').where('principal', '=', principal).execute()
      })
      return true
    } catch (error) {
      this.#logger.warn(
        { code: toSluiceError(error).code, who: principal },
        'the first use of a credential is not recorded yet; retrying',
      )
      return false
    }
  }

  #schedule(): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.#flush()
    }, FLUSH_MS).unref()
  }

  async #flush(): Promise<void> {
    const credentials = [...this.#waiting].sort()
    this.#waiting = new Set()
    try {
      for (const part of chunks(credentials)) await this.#database.run((db) => markUsed(db, part))
    } catch (error) {
      // The next login of each notes it again.
      this.#logger.debug({ code: toSluiceError(error).code }, 'uses of credentials were not recorded')
    }
    for (const [credential, { principal }] of this.#deciding) await this.#decide(credential, principal)
  }
}

async function markUsed(db: Kysely<RegistrySchema>, credentials: readonly string[]): Promise<void> {
  const now = Date.now()
  await db
    .updateTable('credential_pairs')
    .set((eb) => ({ last_used_ms: now, first_used_ms: eb.fn.coalesce('first_used_ms', eb.val(now)) }))
    .where('credential', 'in', credentials)
    .execute()
}
