import type { Kysely } from 'kysely'
import type { AuditRecord } from '../identity-port.ts'
import type { AuditEntry } from '../port.ts'
import { checkLimit, insertAll } from './queries-rows.ts'
import type { RegistrySchema } from './schema.ts'

/** Who changed what, as it is stored: texts are cut to their columns. */

export async function insertAudit(db: Kysely<RegistrySchema>, entries: readonly AuditEntry[]): Promise<void> {
  const at_ms = Date.now()
  const rows = entries.map(({ who, action, subject, detail }) => ({
    at_ms,
    who: who.slice(0, 256).toWellFormed(),
    action: action.slice(0, 64).toWellFormed(),
    subject: subject.slice(0, 256).toWellFormed(),
    detail: detail?.slice(0, 2000).toWellFormed() ?? null,
  }))
  await db.transaction().execute((trx) => insertAll(trx, 'audit_log', rows))
}

export async function newestAudit(
  db: Kysely<RegistrySchema>,
  { before, limit }: { before?: number; limit: number },
): Promise<AuditRecord[]> {
  checkLimit(limit)
  let query = db.selectFrom('audit_log').selectAll().orderBy('id', 'desc').limit(limit)
  if (before !== undefined) query = query.where('id', '<', before)
  const rows = await query.execute()
  return rows.map(({ id, at_ms: atMs, who, action, subject, detail }) => {
    return { id, atMs, who, action, subject, detail: detail ?? undefined }
  })
}
