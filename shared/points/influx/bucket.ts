import { SluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { untilReached, type Waiting } from '../../process/wait-for-server.ts'
import { InfluxRefusal } from './answers.ts'
import type { InfluxConnection } from './connection.ts'

export interface BucketOptions extends Waiting {
  readonly connection: InfluxConnection
  readonly org: string
  readonly bucket: string
  /** Undefined leaves the retention of a bucket that exists as it is, and a new one keeps points for ever. */
  readonly retentionMs: number | undefined
  /** What a shard holds; undefined leaves it to InfluxDB. */
  readonly shardMs: number | undefined
  readonly logger: Logger
}

interface Bucket {
  readonly id: string
  /** 0 = for ever. */
  readonly everySeconds: number
  readonly shardSeconds: number
}

interface Rule {
  readonly type: 'expire'
  readonly everySeconds?: number
  readonly shardGroupDurationSeconds?: number
}

/**
 * Makes the bucket when it is absent and sets its retention and the length of its shards, as far as the token may; resolves with how long the bucket
 * keeps points, in milliseconds, or undefined when it keeps them for ever or the token may not see that. Waits for a
 * server that does not answer. Error: `closed` when the signal is aborted.
 */
export async function prepareBucket(options: BucketOptions): Promise<number | undefined> {
  const { logger, signal, onWaiting, org, bucket } = options
  const attempt = async () => {
    try {
      const { everySeconds } = await findOrMake(options)
      return everySeconds === 0 ? undefined : everySeconds * 1000
    } catch (error) {
      const isRefused = error instanceof SluiceError ? !error.canRetry : error instanceof InfluxRefusal
      if (!isRefused) throw error
      // A token of writers or readers sees no buckets: whether it is right, the first write or query tells.
      logger.warn({ err: error, org, bucket }, 'the token may not manage the bucket; using it as it is')
      return undefined
    }
  }
  return untilReached(attempt, { what: 'InfluxDB', signal, onWaiting, logger })
}

async function findOrMake(options: BucketOptions): Promise<Bucket> {
  const { connection, retentionMs, shardMs } = options
  const found = (await find(options)) ?? (await make(options))
  const asked = ruleOf(retentionMs, shardMs)
  const { everySeconds = found.everySeconds, shardGroupDurationSeconds = found.shardSeconds } = asked
  if (everySeconds === found.everySeconds && shardGroupDurationSeconds === found.shardSeconds) return found
  const body = JSON.stringify({ retentionRules: [{ ...asked, everySeconds }] })
  await connection.send({ what: 'setup', method: 'PATCH', path: `/api/v2/buckets/${found.id}`, body })
  return { ...found, everySeconds }
}

/** What is asked for of a bucket, in its own words. InfluxDB counts in whole seconds, from an hour on. */
function ruleOf(retentionMs: number | undefined, shardMs: number | undefined): Rule {
  return {
    type: 'expire',
    ...(retentionMs === undefined ? {} : { everySeconds: Math.ceil(retentionMs / 1000) }),
    ...(shardMs === undefined ? {} : { shardGroupDurationSeconds: shardMs / 1000 }),
  }
}

async function find({ connection, org, bucket }: BucketOptions): Promise<Bucket | undefined> {
  const path = `/api/v2/buckets?${new URLSearchParams({ org, name: bucket }).toString()}`
  try {
    const answer = (await connection.send({ what: 'setup', method: 'GET', path })) as { buckets?: unknown[] }
    return toBucket(answer.buckets?.[0])
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'store_misconfigured') return undefined
    throw error
  }
}

async function make(options: BucketOptions): Promise<Bucket> {
  const { connection, org, bucket, retentionMs, shardMs, logger } = options
  const path = `/api/v2/orgs?${new URLSearchParams({ org }).toString()}`
  const { orgs } = (await connection.send({ what: 'setup', method: 'GET', path })) as { orgs?: { id: string }[] }
  const rule = { everySeconds: 0, ...ruleOf(retentionMs, shardMs) }
  const { everySeconds } = rule
  const retentionRules = [rule]
  const body = JSON.stringify({ orgID: orgs?.[0]?.id, name: bucket, retentionRules })
  try {
    const made = await connection.send({ what: 'setup', method: 'POST', path: '/api/v2/buckets', body })
    logger.info({ bucket, everySeconds }, 'bucket created')
    return toBucket(made) ?? { id: '', everySeconds, shardSeconds: 0 }
  } catch (error) {
    // Another process was faster.
    const found = error instanceof InfluxRefusal ? await find(options) : undefined
    if (found === undefined) throw error
    return found
  }
}

function toBucket(answer: unknown): Bucket | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined
  const { id, retentionRules: [rule] = [] } = answer as { id: string; retentionRules?: Rule[] }
  return { id, everySeconds: rule?.everySeconds ?? 0, shardSeconds: rule?.shardGroupDurationSeconds ?? 0 }
}
