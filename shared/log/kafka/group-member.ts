import { setTimeout as sleep } from 'node:timers/promises'
import { BACKOFF, backoffMs, pause } from '../../backoff.ts'
import type { SluiceError } from '../../errors.ts'
import { toSluiceError } from '../../errors.ts'
import { WORKER_FEATURES } from '../../features.ts'
import type { Logger } from '../../process/logger.ts'
import { assign, decodeAssignment, encodeAssignment, encodeSubscription } from './assignment.ts'
import type { KafkaClient } from './client.ts'
import { protocolType } from './kafka-error.ts'
import type { Broker } from './kafkajs-internals.ts'

/** A worker that died is missed after this: its partitions stand still for so long. */
const SESSION_MS = 8_000
const HEARTBEAT_MS = 2_000
/** How long the group waits for members that finish what they have in hand. */
const REBALANCE_MS = 20_000
const LEAVE_LIMIT_MS = 3_000

const ENDS_SESSION: ReadonlySet<string> = new Set(['REBALANCE_IN_PROGRESS', 'UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'])

/** The membership between two rebalances. What is committed with it after the next one is refused by Kafka. */
export interface Session {
  readonly memberId: string
  readonly generation: number
  readonly partitions: readonly number[]
}

interface GroupMemberOptions {
  readonly group: string
  readonly topic: string
  /** That the members share; where it becomes another one the group is joined anew. */
  readonly partitions: () => number
  readonly client: KafkaClient
  /** For the goodbye: a request to join may still wait on the other one. */
  readonly otherClient: KafkaClient
  readonly logger: Logger
  /** These partitions are ours from now on. When it rejects the group is joined anew. */
  readonly onAssigned: (session: Session) => Promise<void>
  /** They no longer are. The group is joined anew, or left, when it resolves. */
  readonly onRevoked: () => Promise<void>
  /** Joining will never succeed. */
  readonly onFailed: (error: SluiceError) => void
}

/**
 * One member of a consumer group, by the classic protocol with eager rebalancing:
 *
 *     join -> assigned -> heartbeats -> (rebalance | expelled | coordinator lost for a session) -> revoked -> join ...
 *
 * Written here because kafkajs' consumer rejoins while handlers still run, resets offsets by itself and restarts itself.
 */
export class GroupMember {
  readonly #options: GroupMemberOptions
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #memberId = ''
  #isAssigned = false
  /** So many partitions are shared out, where this member does it. */
  #shared = 0
  #closing: Promise<void> | undefined
  /** When the group was last heard of as a member, in ms of `performance.now()`. */
  lastAnswerMs = performance.now()

  constructor(options: GroupMemberOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Leaves the group behind `onRevoked`. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { client, otherClient, group, logger } = this.#options
    this.#stop.abort()
    if (this.#isAssigned) await this.#running
    const memberId = this.#memberId
    if (memberId !== '') {
      const leaving = otherClient.atCoordinator(group, (broker) => broker.leaveGroup({ groupId: group, memberId }))
      await Promise.race([leaving, sleep(LEAVE_LIMIT_MS, undefined, { ref: false })]).catch((error: unknown) => {
        logger.debug(
          { err: error, group },
          'leaving the group failed; Kafka will remove this member after its session timeout',
        )
      })
    }
    // A join that waits for other members ends with its connection.
    await client.close()
    await this.#running
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { logger, group, onAssigned, onRevoked, onFailed } = this.#options
    let failures = 0
    while (!this.#stop.signal.aborted) {
      this.#shared = this.#options.partitions()
      try {
        const session = await this.#join()
        this.lastAnswerMs = performance.now()
        this.#isAssigned = true
        try {
          await onAssigned(session)
          failures = 0
          await this.#beat(session)
        } finally {
          await onRevoked()
          this.#isAssigned = false
        }
      } catch (error) {
        if (this.#stop.signal.aborted) break
        const failure = toSluiceError(error, 'log_unavailable')
        this.#forget(error)
        if (!failure.canRetry) return onFailed(failure)
        logger.debug({ err: failure, group }, 'rejoining the group')
        failures += 1
        await pause(backoffMs(BACKOFF.join, failures), this.#stop.signal)
      }
    }
  }

  async #join(): Promise<Session> {
    const { client, group } = this.#options
    return client.atCoordinator(group, async (broker) => {
      const joined = await broker.joinGroup({
        groupId: group,
        sessionTimeout: SESSION_MS,
        rebalanceTimeout: REBALANCE_MS,
        memberId: this.#memberId,
        groupProtocols: [{ name: 'sluice', metadata: encodeSubscription(this.#options.topic, WORKER_FEATURES) }],
      })
      this.#memberId = joined.memberId
      const { memberId, generationId } = joined
      const members = joined.leaderId === memberId ? joined.members.map((member) => member.memberId) : []
      const { memberAssignment } = await broker.syncGroup({
        groupId: group,
        generationId,
        memberId,
        groupAssignment: this.#shares(members),
      })
      return { memberId, generation: generationId, partitions: decodeAssignment(memberAssignment) }
    })
  }

  #shares(members: readonly string[]): { memberId: string; memberAssignment: Buffer }[] {
    const { topic } = this.#options
    return Array.from(assign(members, this.#shared), ([memberId, own]) => {
      return { memberId, memberAssignment: encodeAssignment(topic, own) }
    })
  }

  /** Resolves when the session is over. */
  async #beat({ memberId, generation }: Session): Promise<void> {
    const { client, group, logger } = this.#options
    const beat = (broker: Broker) => broker.heartbeat({ groupId: group, groupGenerationId: generation, memberId })
    while (!this.#stop.signal.aborted) {
      await pause(HEARTBEAT_MS, this.#stop.signal)
      if (this.#stop.signal.aborted || this.#options.partitions() !== this.#shared) return
      try {
        await client.atCoordinator(group, beat)
        this.lastAnswerMs = performance.now()
      } catch (error) {
        logger.debug({ err: error, group }, 'the heartbeat of the group was answered with an error')
        this.#forget(error)
        if (ENDS_SESSION.has(protocolType(error) ?? '')) return
        if (!toSluiceError(error).canRetry) throw error
        // Nobody else has our partitions before the session is over.
        if (performance.now() - this.lastAnswerMs > SESSION_MS) return
      }
    }
  }

  /** A member that the group does not know has to ask for a new id. */
  #forget(error: unknown): void {
    if (protocolType(error) === 'UNKNOWN_MEMBER_ID') this.#memberId = ''
  }
}
