import { civilAt, UTC, fromNanosText } from '../src/policy/builtins/go-calendar.ts'
import { RegoNumber } from '../src/policy/values.ts'
import { integer, number } from '../src/policy/builtins/builtin.ts'
function bench(name:string,f:()=>unknown){let n=1;for(;;){const a=performance.now();for(let i=0;i<n;i++)f();const t=performance.now()-a;if(t>60){n=Math.ceil(n*150/t);break}n*=2}const xs=[];for(let r=0;r<5;r++){const a=performance.now();for(let i=0;i<n;i++)f();xs.push((performance.now()-a)*1e6/n)}xs.sort((a,b)=>a-b);console.log(name,xs[2]!.toFixed(0),'ns')}
const inst=fromNanosText('1790000000123456789')!, v=[new RegoNumber('1790000000123456789')]
bench('civil',()=>civilAt(inst,UTC)); bench('fromtext',()=>fromNanosText('1790000000123456789')); bench('of3',()=>[1,2,3].map(RegoNumber.of)); bench('number',()=>number(v,0))
bench('of1',()=>RegoNumber.of(5))
