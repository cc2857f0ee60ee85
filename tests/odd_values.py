"""Values that people pass, as they would write them: sound, odd and wrong ones, by kind.

They are texts, so that a call of ``odd_calls.py`` can be read and made again.
"""

_TEXTS = {
    "number": """
0; 1; -1; 2; 3.0; 1.5; 0.3; -0.5; 1e-50; 1e40; 10**12; 2**31 - 1; 2**31; 2**70; True; False;
float("nan"); float("inf"); -float("inf"); "1"; ""; b"1"; [1]; [1.0, 2.0]; (1, 2); {}; {"a": 1};
np.int64(2); np.float64(0.5); np.float32(2.0); np.array(2); np.array(0.5); np.array([2]);
np.array([1.0, 2.0]); np.array("x"); np.array(None); np.array([]); np.float16(0.5); jnp.array(2);
jnp.array(0.5); jnp.array([0.5, 1.0]); jnp.bfloat16(0.5); 1j; np.complex64(1); object(); int;
lambda x: x; np.datetime64("2020-01-01"); Plain(a=1); np.bool_(True); fractions.Fraction(1, 2);
decimal.Decimal("0.5"); np.longdouble(0.5); jax.random.key(0); jax.ShapeDtypeStruct((), np.float32)
""",
    "count": """
1; 2; 0; -1; 3.0; 2**70; True; "2"; [2]; np.int64(2); np.array(2); np.array([2]); np.array([]);
jnp.array(2); 1j; None; float("nan"); np.float64(2.0); object(); {}; int; np.bool_(True)
""",
    "params": """
FLAT; FLAT; TREE; [1.0, 2.0]; (1.0, 2.0); FLAT.tolist(); FLAT.astype(np.float64);
FLAT.astype(np.float16); jnp.bfloat16([1, 2]); np.int32([1, 2]); np.arange(2); np.zeros(2, bool);
FLAT.astype(complex); np.array(["a"]); np.array([None]); np.zeros(0); np.zeros((2, 0)); {}; []; ();
"x"; b"x"; 1.0; 1; True; 1j; object(); [1, 2]; [[1.0, 2.0], [3.0]]; {"a": FLAT, "b": "name"};
{"a": FLAT, "b": None}; {"a": FLAT, 3: FLAT}; {1: FLAT, 2: FLAT}; {"a": FLAT, "n": 3};
{"f": jnp.tanh, "w": FLAT}; Point(FLAT, FLAT); Point(FLAT, "x"); Pair(FLAT, 1.0); Plain(a=FLAT);
{"p": Plain(a=FLAT), "w": FLAT}; MIXED; np.float32([np.nan, 1]); np.float32([np.inf, 1]);
np.float32([3e38, 1]); jax.random.key(0); {"k": jax.random.key(0), "w": FLAT};
jax.random.PRNGKey(0); jax.ShapeDtypeStruct((2,), np.float32); FLAT.astype(">f4");
np.ma.masked_array(FLAT); np.ma.masked_array(FLAT, [True, False]); np.longdouble([1, 2]);
np.zeros(2, [("a", "f4")]); np.array(["2020-01-01"], "M8[D]"); np.uint8([1, 2]);
np.uint64([2**63, 1]); np.int64([2**40, 1]); set([1.0]); iter([1.0]); range(3); started;
lambda key: {}; lambda key: None; lambda key: "x"; lambda key: 1.0; lambda key: key;
lambda key: np.ones(2, np.float32); lambda: FLAT; lambda a, b: FLAT;
lambda key: jax.random.normal(key, (2,), complex); lambda key: {"a": started(key), "b": 1};
lambda key: jax.random.randint(key, (2,), 0, 5); lambda key: float(jax.random.normal(key));
lambda key: 1 / 0; np.random.default_rng(0).normal; jax.random.normal; Point;
ja.stacked(np.ones((4, 2), np.float32)); ja.stacked(np.ones((3, 2), np.float32)); ja.stacked(FLAT);
ja.stacked(1.0); ja.stacked({}); ja.stacked(None); ja.stacked("x"); ja.stacked(ja.stacked(FLAT));
ja.stacked([FLAT] * 4); ja.stacked([FLAT, TREE]); ja.stacked([]); ja.stacked(np.zeros((0, 2)));
ja.stacked([1.0, 2.0]); ja.stacked(started); ja.stacked(DONE); DONE; DONE.state; DONE.chains;
DONE.chains.params; ja.stacked(DONE.chains.params); energy; SA(); HELD; jnp.tanh; int;
{"a": {"b": {"c": [FLAT, (FLAT, {"d": FLAT})]}}}; {"a": float("nan")}; {"a": 10**400};
{"a": True, "w": FLAT}; collections.OrderedDict(b=FLAT, a=FLAT); {"a": FLAT, ("t", 1): FLAT}
""",
    "key": """
0; 1; -1; 2**31; 2**32; 2**63 - 1; 2**63; 2**64; True; 1.0; 1.5; "0"; None; b"0"; [0, 0]; (0, 0);
[0]; {}; object(); np.int8(-1); np.uint32(7); np.uint64(2**63); np.float32(1); np.array(5);
np.array([5]); np.zeros(2, np.uint32); np.zeros(2, np.int32); np.zeros(3, np.uint32);
np.zeros((2, 2), np.uint32); jnp.array(5); jax.random.key(0); jax.random.PRNGKey(0);
jax.random.split(jax.random.key(0)); jax.random.split(jax.random.key(0), 1);
jax.random.key(0, impl="rbg"); jax.random.PRNGKey(0, impl="rbg");
jax.random.key_data(jax.random.key(0)); np.random.default_rng(0); jax.random; started;
float("nan"); 2**200; np.bool_(True); np.array(True); jax.ShapeDtypeStruct((2,), np.uint32)
""",
    "args": """
(); None; 5; 1.0; [SLOPE]; SLOPE; "x"; {}; {"slope": SLOPE}; (None,); ("x",); (object(),);
(np.array(["a"]),); (np.array([None]),); (2**70,); (lambda: 0,); ({"n": 2**70},); (SLOPE,);
(SLOPE, SLOPE); (jax.random.key(0),); (np.datetime64("2020"),); (Plain(a=SLOPE),);
(np.int64([2**40]),); (1j,); (True, 1, 2.0); (np.longdouble(1),); (np.zeros(0),);
(SLOPE.astype(">f4"),); (np.ma.masked_array(SLOPE),); (jax.ShapeDtypeStruct((2,), np.float32),);
(Point(SLOPE, 1),); (float("nan"),); (set([1]),); (slice(None),); (range(3),); (energy,); (DONE,);
(b"x",); (np.zeros(2, [("a", "f4")]),); (scipy.sparse.eye(2),); (fractions.Fraction(1, 2),)
""",
    "energy": """
energy; energy; energy; walled; cold; weighed; None; 1.0; "x"; object(); ja.anneal; int;
lambda: 0.0; lambda a, b: 0.0; lambda p: p; lambda p: None; lambda p: "x";
lambda p: (energy(p), p); lambda p: {"e": energy(p)}; lambda p: jnp.ones(2); lambda p: jnp.ones(1);
lambda p: 1j * energy(p); lambda p: 0.0; lambda p: 0; lambda p: True; lambda p: jnp.nan;
lambda p: jnp.inf; lambda p: -jnp.inf; lambda p: float(energy(p)); lambda p: np.sum(np.asarray(p));
lambda p: p["missing"]; lambda p: p.missing; lambda p: p[7]; lambda p: 1 / 0;
lambda p: energy(p) if energy(p) > 0 else 0.0; lambda p: energy(p).astype(jnp.float16);
lambda p: jnp.round(energy(p)).astype(int); lambda p: energy(p) > 1; lambda p: [energy(p)];
lambda p: jax.random.key(0); lambda p: np.float64(1.0); lambda p: np.float32(energy(p)); called;
lambda p: 2**70; lambda p: object(); lambda p: lambda x: x; lambda p, scale=2.0: scale * energy(p);
lambda *p: energy(p[0]); lambda **p: 0.0; lambda p: energy(p).astype(jnp.bfloat16);
lambda p: energy(p) * 1e38; lambda p: energy(p) * 1e-38; lambda p: np.array("x");
lambda p: Point; jnp.sum; sum; max; np.sum; np.linalg.norm; jnp.linalg.norm; lambda p: [0.0];
lambda p: fractions.Fraction(1, 2); lambda p: np.longdouble(1); lambda p: np.array([[1.0]])
""",
    "method": """
None; SA(); SA(); PT(); ja.BasinHopping(4); Cooler(); "SA"; 1; ja.SimulatedAnnealing;
ja.ParallelTempering; Cooler; object(); COLD; {}; lambda: 0; DONE; SA(chains=1);
PT(ladders=1); Plain(chains=4);
Cooler(chains=0); Cooler(chains=2.0); Cooler(chains="4"); Cooler(chains=None);
Cooler(init=lambda: None); Cooler(init=lambda: "x"); Cooler(init=lambda: (1.0, None));
Cooler(init=lambda x: 1.0); Cooler(init=3); Cooler(init=lambda: 1 / 0);
Cooler(temperatures=lambda s: 1.0); Cooler(temperatures=lambda s: None);
Cooler(temperatures=lambda s: jnp.ones(3)); Cooler(temperatures=lambda s: jnp.ones((4, 1)));
Cooler(temperatures=lambda s: "hot"); Cooler(temperatures=lambda s: -1.0);
Cooler(temperatures=lambda s: jnp.nan); Cooler(temperatures=lambda s: 1j);
Cooler(temperatures=lambda: 1.0); Cooler(temperatures=lambda s: float(s));
Cooler(exchange=lambda k, s, e: None); Cooler(exchange=lambda k, s, e: (s, s));
Cooler(exchange=lambda k, s, e: jnp.ones(2)); Cooler(exchange=lambda k, s, e: 1);
Cooler(exchange=lambda s: s); Cooler(exchange=lambda k, s, e: e); Cooler(exchange=None);
Cooler(exchange=lambda k, s, e: s + e[0]); Cooler(exchange=lambda k, s, e: {"a": s});
Cooler(exchange=lambda k, s, e: "x"); Cooler(exchange=lambda k, s, e: object());
Cooler(exchange_every=0); Cooler(exchange_every=2); Cooler(exchange_every=1.5);
Cooler(exchange_every="x"); Cooler(exchange_every=np.array([1, 2]));
Cooler(temperatures=lambda s: np.ones(4)); Cooler(temperatures=lambda s: 2**70);
Cooler(init=lambda: {"t": np.ones(4)}, temperatures=lambda s: s["t"], exchange=lambda k, s, e: s);
Cooler(init=lambda: jax.random.key(0), temperatures=lambda s: 1.0, exchange=lambda k, s, e: s)
""",
    "move": """
None; None; HELD; nudged; "gaussian"; 1; ja.moves.Gaussian; ja.moves.Gaussian();
ja.moves.Uniform(0.2); ja.moves.Flip(); ja.moves.IntegerStep(); PARTS; object(); {};
[ja.moves.Gaussian()]; {"a": ja.moves.Gaussian()}; lambda: 0; lambda k: k; lambda k, p: None;
lambda k, p: "x"; lambda k, p: (p, 0.0); lambda k, p: p; lambda k, p: {"a": p}; lambda k, p: [p];
lambda k, p, f: p; lambda k, p: jax.tree.map(lambda x: x[None], p); lambda k, p: k;
lambda k, p: jax.tree.map(lambda x: x.astype(jnp.float16), p); lambda k, p: 1 / 0;
lambda k, p: jax.tree.map(lambda x: np.asarray(x), p); lambda k, p: jax.tree.map(float, p);
lambda k, p: jax.tree.map(lambda x: x * 1j, p); lambda k, p: jax.tree.map(lambda x: x * jnp.nan, p);
lambda k, p: jax.tree.map(lambda x: x.tolist(), p); lambda k, p: jnp.zeros(2);
Returning(None); Returning(FLAT); Returning((FLAT, 0.0)); Returning((FLAT, None));
Returning((FLAT, "x")); Returning((FLAT, 1j)); Returning((FLAT, jnp.nan)); Returning((FLAT, FLAT));
Returning((FLAT, 0.0, 0.0)); Returning([FLAT, 0.0]); Returning((None, 0.0)); Returning(("x", 0.0));
Returning((FLAT.tolist(), 0.0)); Returning((FLAT, True)); Returning((FLAT, 0));
Returning((FLAT, jnp.inf)); Returning((FLAT.astype(np.float64), 0.0)); Returning((FLAT, 2**70));
Returning((jax.random.key(0), 0.0)); Plain(propose=3); DONE; SA(); COLD;
Told(target=lambda p: 2.0); Told(target=lambda p: "x"); Told(target=lambda p: jnp.ones(2));
Told(target=lambda: 0.3); Told(target=0.3); Told(target=lambda p: 0.3);
Told(target=lambda p: 2**70); Told(target=lambda p: 1j);
Told(target=lambda p: 0.3, largest_factor=lambda p: "x");
Told(target=lambda p: 0.3, largest_factor=lambda p: jnp.ones(2)); Told(mixed=lambda p: "x");
Told(target=lambda p: 0.3, mixed=lambda p: jnp.ones(2)); Told(check=lambda p: 1 / 0);
Told(check=lambda: 0); Told(target=lambda p: 0.3, largest_factor=lambda p: -1.0)
""",
    "bounds": """
None; (-2, 2); (-2.0, None); (None, None); (-2, 2, 3); (2, -2); (0, 1); (1.5, 1.5); -2; "x"; "";
"ab"; {}; []; (); [(-2, 2)]; [(-2, 2), (-1, 1)]; [-2, 2]; ([-2, -2], [2, 2]); ((-2, -1), (2, 1));
np.array([[-2, 2], [-1, 1]]); np.array([-2, 2]); (FLAT - 1, FLAT + 1); (FLAT, FLAT);
(float("nan"), 1); (-float("inf"), float("inf")); (float("inf"), -float("inf")); (-1e300, 1e300);
("a", "b"); (1j, 2j); (True, False); (np.zeros(3), np.ones(3)); ({"a": -2}, {"a": 2});
({"a": -2, "b": -2}, {"a": 2, "b": 2}); ({"a": -2, "b": -2}, 2); (Plain(a=1), 2); (object(), 1);
({"a": -2, "b": None}, {"a": 2, "b": None}); (lambda: 0, 1); (-2, (2, 2)); ([[-2, -2]], [[2, 2]]);
([-2], [2]); (jnp.float32(-2), np.float64(2)); (np.longdouble(-2), 2); (-2 ** 70, 2 ** 70);
(-3e38, 3e38); ((-2, 2),); {"a": (-2, 2), "b": (-2, 2)}; [(-2, 2), (-2, 2), (-2, 2)];
[(None, 2), (-2, None)]; ([-2, "x"], 2); range(2); (jax.random.key(0), 1); iter([(-2, 2)]);
set([-2, 2]); (fractions.Fraction(-2), 2); (decimal.Decimal(-2), 2); (np.array(["a"]), 1);
(np.array([None, None]), 2); (-2, 2j); ([-2, [2]], 2); np.zeros((0, 2)); (np.zeros(0), np.zeros(0));
[["a", "b"], ["c", "d"]]; [(0, 1), ("a", 2)]; [(0, 10**400), (0, 1)]; (10**400, 1); (-2, 1e-60)
""",
    "function": """
None; "x"; 1; True; lambda: 0; lambda x: None; lambda x: x; lambda *x: x[0]; lambda x: "x";
lambda x: object(); lambda x: {"a": x, "b": [x]}; lambda x: 1 / 0; int; jnp.sum;
lambda a, b, c: 0; lambda x: jax.random.key(0); lambda x: 1j; lambda x: (None,); lambda x: {};
lambda x: float(x[0]); np.mean; lambda x: np.float64(1.0); [lambda x: x]; energy; print;
lambda x: 2**70; lambda x: np.array("x")
""",
    "callback": """
None; "x"; 1; lambda: 0; lambda p: None; lambda p: True; lambda p: False; lambda p: "x";
lambda p: np.bool_(True); lambda p: jnp.array(True); lambda p: p.step > 3; lambda p: p.missing;
lambda p: 1 / 0; lambda p: next(iter(())); lambda a, b: True; lambda p: np.array([True, False]);
lambda p: p.best_params; lambda p: 0; lambda p: []; int; bool; lambda p: np.array([])
""",
    "checkpoint": """
None; "x"; FOLDER; 1; ja.Checkpoint; object(); ja.Checkpoint(fresh()); ja.Checkpoint(EMPTY);
ja.Checkpoint(fresh(), keep=1); pathlib.Path(FOLDER)
""",
    "state": """
None; "x"; 1; DONE; DONE.state; DONE.state; DONE.chains; LOADED.state; {}; TEMPERED.state;
OTHER.state; (); ja.polish(energy, FLAT, steps=4); FLAT; tuple(DONE.state)
""",
    "sharding": """
None; "x"; 1; jax.devices()[0]; jax.devices(); jax.make_mesh((1,), ("chains",)); object();
jax.make_mesh((1, 1), ("a", "b")); jax.sharding.PartitionSpec("x");
jax.sharding.SingleDeviceSharding(jax.devices()[0]); jax.make_mesh((2,), ("chains",));
jax.sharding.NamedSharding(jax.make_mesh((1,), ("chains",)), jax.sharding.PartitionSpec());
jax.sharding.NamedSharding(jax.make_mesh((1,), ("chains",)), jax.sharding.PartitionSpec("chains"))
""",
    "optimizer": """
None; "adam"; optax.adam; optax.adam(0.1); optax.sgd(0.1); optax.lbfgs(); 0.1; object();
optax.adam(float("nan")); optax.sgd(-1.0); optax.sgd("x"); optax.GradientTransformation(None, None);
optimizer(lambda p: None); optimizer(lambda p: 1 / 0); optimizer(update=lambda u, s, p=None: None);
optimizer(update=lambda u, s, p=None: (None, s)); optimizer(update=lambda u, s: (u, s));
(); optax.sgd(optax.linear_schedule(0.1, 0.0, 5)); optimizer(lambda p: "x");
optimizer(update=lambda u, s, p=None: ((u[0][:1],), s)); optax.adamw(0.1); optax.set_to_zero();
optimizer(update=lambda u, s, p=None: (u, jnp.ones(3))); optimizer(lambda: ());
optimizer(update=None)
""",
    "over": """
{"steps": [5, 10]}; {"move.scale": [0.1, 0.2]}; {"method.cooling.start": [1.0, 2.0]};
{"args.0": [1.0]}; {}; []; None; "x"; 1; [{}]; [{"steps": 5}, {"steps": 6}]; {"steps": 5};
{"steps": []}; {"steps": "12"}; {"steps": [0, 5]}; {"steps": [0]}; {"steps": [5.5]};
{"steps": ["x"]}; {"bogus": [1]}; {"method.bogus": [1]}; {"move": [HELD]}; {"move": ["x"]};
{"move": [HELD, "x"]}; {1: [2]}; {None: [1]}; {"": [1]}; {".": [1]}; {"steps.": [1]};
{"method.cooling": [COLD, None]}; {"method.chains": [2, 4]}; {"method.chains": [0]};
{"move.scale": np.array([0.1, 0.2])}; {"move.scale": np.array(0.1)}; {"move.scale": [[0.1, 0.2]]};
{"target": [None, 0.1]}; {"target": ["x"]}; {"patience": [0]}; {"block": [2]}; {"block": [1.5]};
{"method": [SA(), PT()]}; {"method": [SA, None]}; {"method": [None]}; {"key": [0, 1]};
{"params": [FLAT]}; {"energy": [energy]}; {"steps": lambda k: 5}; {"steps": range(5, 7)};
{"move.scale": lambda k: jax.random.uniform(k)}; {"steps": iter([5])}; {"steps": {5, 6}};
{"steps": (5, 6)}; {"steps": jnp.array([5, 6])}; {"steps": [np.int64(5)]}; {"steps": [True]};
{"steps": [None]}; [("steps", 5)]; [{"steps": 5}, {"bogus": 1}]; [{"steps": 5}, None];
{"move.scale": [-1.0]}; {"move.scale": [0.1, -1.0]}; {"args": [(), (SLOPE,)]}; {"args": [5]};
{"steps": [5], "move.bounds": [(-2, 2), (2, -2)]}; {"steps": [5, 5]}; {"patience": [5, None]}
""",
    "path": """
""; None; 1; "missing"; FOLDER; b"x"; "\\0"; "x" * 5000; object(); [SAVED]; SAVED; SAVED; DAMAGED;
EMPTY; pathlib.Path(SAVED); os.path.join(FOLDER, "no", "such")
""",
    "place": """
""; None; 1; "missing"; FOLDER; b"x"; "\\0"; "x" * 5000; object(); [FOLDER];
os.path.join(FOLDER, "no", "such"); pathlib.Path(FOLDER, "again")
""",
    "like": """
None; None; FLAT; TREE; [1.0, 2.0]; 1.0; "x"; object(); {}; np.zeros(3, np.float32);
FLAT.astype(np.float64); np.int32([1, 2]); jnp.tanh; DONE; Point(FLAT, FLAT); Pair(1.0, 2.0);
started; ja.stacked(FLAT); jax.random.key(0); {"a": Plain(a=1)}; Point; np.array(["x"])
""",
    "flag": 'None; False; True; 0; 1; "x"; np.bool_(False); []; object(); jnp.array(False)',
    "cooling": """
None; COLD; 1.0; "x"; ja.cooling.Geometric; ja.cooling.Linear(1.0, 0.0);
ja.cooling.Logarithmic(1.0); optax.linear_schedule(1.0, 0.0, 10); optax.constant_schedule(-1.0);
optax.constant_schedule(1.0);
lambda s: 1.0; lambda: 1.0; lambda s: -1.0; lambda s: None; lambda s: "x"; lambda s: 1j;
lambda s: jnp.ones(2); lambda s: float("nan"); lambda s: 1 / 0; lambda s: 1.0 / (s + 1);
lambda s: 1.0 if s < 5 else 0.1; lambda s: np.exp(-s); lambda s: [1.0]; lambda a, b: 1.0; int;
energy; object(); [1.0, 0.5]; np.ones(10); lambda s: 10.0 ** -s; lambda s: s; lambda s: 1e39;
lambda s: True; lambda s: np.array([1.0]); lambda s: 2**70; lambda s: fractions.Fraction(1, 2)
""",
    "chain": """
CHAIN; None; "x"; ja.init_chain(TREE, energy=energy); FLAT; DONE.chains; DONE.state; object();
(FLAT, 0.0); DONE
""",
}

VALUES = {
    kind: [text.strip() for text in texts.replace("\n", " ").split(";") if text.strip()]
    for kind, texts in _TEXTS.items()
}
