import type { FastifyReply } from 'fastify'

/**
 * Aborts when whoever asked has gone, or has the answer. Not fastify's `request.signal`: that one aborts when the body was
 * read, which may be in the middle of the work.
 */
export function goneSignal(reply: Pick<FastifyReply, 'raw'>): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}
