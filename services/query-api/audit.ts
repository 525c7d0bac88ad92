import type { FastifyRequest } from 'fastify'
import type { AuditEntry, Registry } from '../../shared/registry/port.ts'
import type { ApiParts } from './api.ts'

/**
 * Notes who changed what. A note that cannot be written is logged and not an error of the request: what it is about has
 * happened, and the answer may hold a secret that is shown only once.
 */
export async function recordAction(
  options: ApiParts<'registry'>,
  request: FastifyRequest,
  action: string,
  subject: string,
  detail?: string,
): Promise<void> {
  await recordActions(options, request, action, [subject], detail)
}

/** {@link recordAction} of the same to many. */
export async function recordActions(
  { registry }: ApiParts<'registry'>,
  request: FastifyRequest,
  action: string,
  subjects: readonly string[],
  detail?: string,
): Promise<void> {
  if (subjects.length === 0) return
  const about = { who: request.who, action, ...(detail === undefined ? {} : { detail }) }
  const entries = subjects.map((subject) => ({ ...about, subject }))
  await noteDone({ registry, logger: request.log }, entries)
}

/** Notes what has happened, whoever did it. Never rejects: what cannot be written is logged. */
export async function noteDone(
  {
    registry,
    logger,
  }: { readonly registry: Pick<Registry, 'audit'>; readonly logger: Pick<FastifyRequest['log'], 'error'> },
  entries: readonly AuditEntry[],
): Promise<void> {
  try {
    await registry.audit(...entries)
  } catch (error) {
    const [{ who, action } = { who: '', action: '' }] = entries
    const subjects = entries.slice(0, 10).map(({ subject }) => subject)
    logger.error({ err: error, action, subjects, who }, 'the audit entry was not written')
  }
}
