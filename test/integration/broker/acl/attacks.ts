import type { Breaches, Connect, Stage } from './stage.ts'

export interface Reading {
  /** Published as retained, before the attacker subscribes. */
  readonly retained?: boolean
  /** The filter itself is rightly granted: only the message must not come. */
  readonly granted?: boolean
  readonly connect?: Connect
}

/** Subscribes to `filter`, while somebody else publishes a secret to `topic`. */
export async function reads(
  stage: Stage,
  login: string,
  filter: string,
  topic: string,
  { retained = false, granted = false, connect = {} }: Reading = {},
): Promise<Breaches> {
  const admin = await stage.admin()
  if (retained) await admin.publish(topic, stage.secret, true)
  const intruder = await stage.client(login, connect)
  const codes = await intruder.subscribe([filter, 1])
  if (codes === undefined) return []
  if (!retained) await admin.publish(topic, stage.secret)
  await stage.fence(intruder)
  const wrong = !granted && codes.some((code) => code < 0x80) ? [`granted ${filter}`] : []
  return [...wrong, ...stage.leaks(intruder)]
}

export interface Writing {
  readonly qos?: 0 | 1 | 2
  readonly retain?: boolean
}

/** Publishes a secret where it must not. */
export async function writes(
  stage: Stage,
  login: string,
  topic: string,
  { qos = 1, retain = false }: Writing = {},
): Promise<Breaches> {
  const admin = await stage.admin()
  await admin.subscribe(['#', 1])
  await admin.subscribe([topic, 1])
  const intruder = await stage.client(login)
  if (qos === 1) {
    await intruder.publish(topic, stage.secret, retain)
  } else {
    intruder.send({ cmd: 'publish', topic, payload: stage.secret, qos, retain, dup: false, messageId: 9 })
    if (qos === 2) {
      await intruder.matching(({ cmd }) => cmd === 'pubrec')
      intruder.send({ cmd: 'pubrel', messageId: 9 })
      await intruder.matching(({ cmd }) => cmd === 'pubcomp')
    }
  }
  if (!intruder.isClosed) await stage.fence(intruder)
  await stage.fence()
  const witness = await stage.client('app', { clientId: `witness-${stage.run}` })
  if (retain) await witness.subscribe(['#', 1])
  await stage.fence(witness)
  const logged = stage.place.log.records.filter(({ value }) => Buffer.from(value).toString() === stage.secret)
  return [
    ...stage.leaks(admin).slice(0, 1),
    ...stage.leaks(witness).map((text) => `retained: ${text}`),
    ...logged.map(({ key }) => `in the log of ${key}`),
  ]
}

/** Connects with a will that must not be published, where that is refused; where it is left out: refused-wills.test.ts. */
export async function leaves(stage: Stage, login: string, topic: string, retain = false): Promise<Breaches> {
  const will = { topic, payload: stage.secret, qos: 1 as const, retain }
  const { code } = await stage.attempt({ username: login, password: Buffer.from('s'), will })
  return code === 0 ? [`a will on ${topic} was accepted`] : []
}

/** Logs in as somebody it is not. */
export async function logsIn(stage: Stage, connect: Connect): Promise<Breaches> {
  const { code } = await stage.attempt(connect)
  return code === 0 ? [`let in with ${JSON.stringify(connect)}`] : []
}
