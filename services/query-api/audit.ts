import type { FastifyRequest } from 'fastify'
import type { ApiOptions } from './app.ts'

/**
 * Notes who changed what. A note that cannot be written is logged and not an error of the request: what it is about has
 * happened, and the answer may hold a secret that is shown only once.
 */
export async function recordAction(
  { registry }: ApiOptions,
  request: FastifyRequest,
  action: string,
  subject: string,
): Promise<void> {
  try {
    await registry.audit({ who: request.who, action, subject })
  } catch (error) {
    request.log.error({ err: error, action, subject, who: request.who }, 'the audit entry was not written')
  }
}
