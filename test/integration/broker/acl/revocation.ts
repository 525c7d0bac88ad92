import { writes } from './attacks.ts'
import { INTRUDER, type AclCase, type Breaches, type Stage } from './stage.ts'

const rules = (name: string, attack: AclCase['attack']): AclCase => ({ name, guard: 'rules', attack })
const login = (name: string, attack: AclCase['attack']): AclCase => ({ name, guard: 'more', attack })

const MAY_READ = 'allow subscribe house/#'
const MAY_READ_ALL_BUT = [MAY_READ, 'deny subscribe house/door']
const KEPT = { clean: false }

async function leave(client: Awaited<ReturnType<Stage['client']>>): Promise<void> {
  client.send({ cmd: 'disconnect' })
  await client.closed()
}

/** What a kept session brings after its rules were changed to `after`; the secret comes before that, or after. */
async function afterwards(stage: Stage, after: readonly string[], isQueued: boolean): Promise<Breaches> {
  const admin = await stage.admin()
  const intruder = await stage.client(stage.application(MAY_READ), KEPT)
  await intruder.subscribe(['house/#', 1])
  await leave(intruder)
  if (isQueued) await admin.publish('house/door', stage.secret)
  await stage.changeRules(...after)
  if (!isQueued) await admin.publish('house/door', stage.secret)
  const again = await stage.client(INTRUDER, KEPT)
  await stage.fence(again)
  return stage.leaks(again)
}

/** What somebody connected gets after its rules were changed to `after`. */
async function connected(stage: Stage, after: readonly string[]): Promise<Breaches> {
  const intruder = await stage.client(stage.application(MAY_READ))
  await intruder.subscribe(['house/#', 1])
  await stage.changeRules(...after)
  await (await stage.admin()).publish('house/door', stage.secret)
  await stage.fence(intruder)
  return stage.leaks(intruder)
}

/** Who subscribes to the status of a/1 after that was said and a/1 is gone. */
async function retainedAfter(stage: Stage, gone: () => Promise<void>): Promise<Breaches> {
  const victim = await stage.client('a/1')
  await victim.publish('t/a/1/status', stage.secret, true)
  await gone()
  const witness = await stage.client('app', { clientId: `witness-${stage.run}` })
  await witness.subscribe(['t/+/+/status', 1])
  await stage.fence(witness)
  return stage.leaks(witness)
}

export const REVOCATION: readonly AclCase[] = [
  rules('a rule is taken away: delivery to who is connected', (stage) => connected(stage, [])),
  rules('a deny rule is added: delivery to who is connected', (stage) => connected(stage, MAY_READ_ALL_BUT)),
  rules('a rule is taken away while the client is away (CVE-2021-34434)', (stage) => afterwards(stage, [], false)),
  rules('a deny rule is added while the client is away (CVE-2021-34434)', (stage) =>
    afterwards(stage, MAY_READ_ALL_BUT, false),
  ),
  rules('a rule is taken away: what waits in the session', (stage) => afterwards(stage, [], true)),
  rules('a deny rule is added: what waits in the session', (stage) => afterwards(stage, MAY_READ_ALL_BUT, true)),

  rules('a rule is taken away: retained messages', async (stage) => {
    await (await stage.admin()).publish('house/door', stage.secret, true)
    const intruder = await stage.client(stage.application(MAY_READ))
    await stage.changeRules('allow subscribe office/#')
    await intruder.subscribe(['house/#', 1])
    await stage.fence(intruder)
    return stage.leaks(intruder)
  }),
  rules('a rule is taken away: publishing on the same connection', async (stage) => {
    const intruder = await stage.client(stage.application('allow publish house/#'))
    await intruder.publish('house/door', 'allowed')
    await stage.changeRules()
    const admin = await stage.admin()
    await admin.subscribe(['house/#', 1])
    await intruder.publish('house/door', stage.secret)
    await stage.fence(intruder)
    await stage.fence()
    return stage.leaks(admin)
  }),
  rules('a rule is taken away: publishing telemetry on the same connection', async (stage) => {
    const intruder = await stage.client(stage.application('allow publish t/a/#'))
    await intruder.publish('t/a/1/telemetry', '{"allowed":1}')
    await stage.changeRules()
    const admin = await stage.admin()
    await admin.subscribe(['t/+/+/telemetry', 0])
    await intruder.publish('t/a/1/telemetry', stage.secret)
    await stage.fence(intruder)
    await stage.fence()
    return stage.leaks(admin)
  }),
  rules('a rule is taken away: the will of who is connected', async (stage) => {
    const will = { topic: 'house/door', payload: stage.secret, qos: 1 as const, retain: false }
    const admin = await stage.admin()
    await admin.subscribe(['house/#', 1])
    const intruder = await stage.client(stage.application('allow publish house/#'), { will })
    await stage.changeRules()
    intruder.drop()
    await intruder.closed()
    // Whoever connects again with the id has waited for the end of the former connection.
    await stage.client(INTRUDER)
    await stage.fence()
    return stage.leaks(admin)
  }),
  rules('other rules: those of another application are not changed by them', async (stage) => {
    stage.place.registry.applications.set('other', [])
    const intruder = stage.application('allow publish house/#')
    await stage.client(intruder)
    return writes(stage, 'other', 'house/door')
  }),

  login('a device is removed: what it said goes with it (CVE-2018-12546)', (stage) =>
    retainedAfter(stage, () => stage.remove('a/1')),
  ),
  login('a device is removed: its connection is closed', async (stage) => {
    const device = await stage.client('a/1')
    await device.subscribe(['t/a/1/cmd/#', 1])
    await stage.remove('a/1')
    await (await stage.admin()).publish('t/a/1/cmd/x', stage.secret)
    if (!device.isClosed) await stage.fence(device)
    return stage.leaks(device)
  }),
  login('a device is removed: its will is not published', async (stage) => {
    const admin = await stage.admin()
    await admin.subscribe(['t/+/+/status', 1])
    const will = { topic: 't/a/1/status', payload: stage.secret, qos: 1 as const, retain: true }
    const device = await stage.client('a/1', { will })
    await stage.remove('a/1')
    device.drop()
    await device.closed()
    await stage.fence()
    await stage.fence()
    return stage.leaks(admin)
  }),
  login('a device is removed: it does not come back', async (stage) => {
    await stage.client('a/1')
    await stage.remove('a/1')
    const { code } = await stage.attempt({ username: 'a/1', password: Buffer.from('s') })
    return code === 0 ? ['let in'] : []
  }),
  login('a device is removed: the next of its name does not get its session', async (stage) => {
    const former = await stage.client('a/1', KEPT)
    await former.subscribe(['t/a/1/cmd/#', 1])
    await leave(former)
    await (await stage.admin()).publish('t/a/1/cmd/x', stage.secret)
    await stage.remove('a/1')
    stage.place.registry.devices.add('a/1')
    stage.place.registry.change('a/1')
    const next = await stage.client('a/1', KEPT)
    await stage.fence(next)
    return stage.leaks(next)
  }),
]
