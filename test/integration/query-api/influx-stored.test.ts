import { expect, it } from 'vitest'
import { openReal } from './real-api.ts'

const T = 1_769_860_800

interface Series {
  readonly device: string
  readonly stream: string
  readonly field: string
  readonly points: readonly (readonly [time: number, value: unknown])[]
}

async function values(real: Awaited<ReturnType<typeof openReal>>): Promise<Record<string, unknown>> {
  const { body } = await real.call('GET', '/v1/tenants/demo/readings')
  const series = (body['series'] ?? []) as Series[]
  return Object.fromEntries(
    series.map(({ device, stream, field, points }) => [
      `${device}/${stream}/${field}`,
      points.map(([, value]) => value),
    ]),
  )
}

it('lines of an application are stored with the devices that their tags name, which it may make', async () => {
  const real = await openReal()
  await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'a' } })
  const rules = [{ effect: 'allow', action: 'publish', topic: 't/demo/+/telemetry/#' }]
  const ids = await Promise.all(
    [true, false].map(async (createsDevices) => {
      const payload = { name: createsDevices ? 'maker' : 'telegraf', rules, createsDevices }
      const { body } = await real.call('POST', '/v1/applications', { payload })
      return { authorization: `Token ${String(body['token'])}` }
    }),
  )
  const [maker = {}, telegraf = {}] = ids
  const post = (headers: Record<string, string>, payload: string) =>
    real.call('POST', '/write?db=x&precision=s&strict', { payload, token: null, headers })
  const known = `cpu,host=a,cpu=cpu0 usage=1 ${T}\ncpu,host=a,cpu=cpu1 usage=2 ${T}\nmem,host=a free=3i ${T}\nmem,host=a free=4i ${T + 1}`
  expect(await post(telegraf, known)).toMatchObject({ status: 204 })
  // What is posted again changes nothing.
  expect(await post(telegraf, known)).toMatchObject({ status: 204 })
  const refused = await post(telegraf, `mem,host=new free=1i ${T}`)
  expect(refused).toMatchObject({ status: 400, body: { sluice: 'device_unknown' } })
  expect(await post(maker, `mem,host=made free=5i ${T}`)).toMatchObject({ status: 204 })
  await expect
    .poll(() => values(real), { timeout: 20_000 })
    .toEqual({
      'a/cpu/usage{cpu="cpu0"}': [1],
      'a/cpu/usage{cpu="cpu1"}': [2],
      'a/mem/free': [3, 4],
      'made/mem/free': [5],
    })
  const { body } = await real.call('GET', '/v1/dead-letters')
  expect(body['deadLetters']).toMatchObject([{ who: 'telegraf', faults: [{ code: 'device_unknown' }] }])
  const pending = async () => (await real.call('GET', '/v1/devices/pending')).body['pending']
  expect(await pending()).toMatchObject([{ tenant: 'demo', device: 'new', by: 'payload', who: 'telegraf', times: 1 }])
  await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'new' } })
  expect(await pending()).toEqual([])
})

it('lines of a device are its own, and bad ones are a letter that says which', async () => {
  const real = await openReal()
  const { body: made } = await real.call('POST', '/v1/devices', { payload: { tenant: 'demo', device: 'a' } })
  const headers = { authorization: `Token ${String(made['token'])}` }
  const payload = `m,host=a x=1,y=oops ${T}\nbroken\nm,host=b x=2 ${T}`
  expect(await real.call('POST', '/api/v2/write?precision=s', { payload, token: null, headers })).toMatchObject({
    status: 204,
  })
  await expect.poll(() => values(real), { timeout: 20_000 }).toEqual({ 'a/m/x': [1], 'a/m/x{host="b"}': [2] })
  await expect
    .poll(async () => (await real.call('GET', '/v1/dead-letters')).body['deadLetters'])
    .toMatchObject([
      {
        who: 'demo/a',
        faults: [
          { element: 0, path: 'y', code: 'line_invalid' },
          { element: 1, path: null, code: 'line_invalid' },
        ],
      },
    ])
})
