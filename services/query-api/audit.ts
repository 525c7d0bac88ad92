import type { FastifyRequest } from 'fastify'
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
  try {
    await registry.audit(
      ...subjects.map((subject) => ({
        who: request.who,
        action,
        subject,
        ...(detail === undefined ? {} : { detail }),
      })),
    )
  } catch (error) {
    const shown = subjects.slice(0, 10)
    request.log.error({ err: error, action, subjects: shown, who: request.who }, 'the audit entry was not written')
  }
}
