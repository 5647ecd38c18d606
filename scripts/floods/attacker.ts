/** A process of its own that attacks until it is ended: its name, where, and a key, from the command line. */
import { ATTACKS } from './attacks.ts'

const [name = '', host = '', port, key = ''] = process.argv.slice(2)
await ATTACKS[name]?.({ host, port: Number(port), key })
