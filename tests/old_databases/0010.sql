BEGIN TRANSACTION;
CREATE TABLE "attempts" (
	run_id TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	worker TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	outcome TEXT, 
	message TEXT, 
	traceback TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (run_id, fence), 
	CONSTRAINT fk_attempts_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT ck_attempts_outcome CHECK (outcome IN ('ok', 'error', 'oom', 'nan', 'disk_full', 'preempted', 'lost', 'interrupted', 'died', 'timeout', 'cancelled', 'device'))
);
INSERT INTO "attempts" VALUES('80965d5433b24fe69a4529cada314e3f',1,'worker','2026-12-01 04:02:23.120','2026-12-01 04:02:23.152','ok',NULL,NULL);
INSERT INTO "attempts" VALUES('9ea832ce190647eba87bbd25d812e875',1,'worker','2026-12-01 04:02:23.243','2026-12-01 04:02:23.261','ok',NULL,NULL);
INSERT INTO "attempts" VALUES('eac207bcc2bf41c1b9112138c14a2abc',1,'worker','2026-12-01 04:02:23.287','2026-12-01 04:02:23.300','nan','not finite','Traceback');
INSERT INTO "attempts" VALUES('a18b6c8600e0418e8d5c4195bf4d9252',1,'worker','2026-12-01 04:02:23.313','2026-12-01 04:02:23.331','interrupted',NULL,NULL);
INSERT INTO "attempts" VALUES('2c757d81a8a84d638e0e85fd3ffbc914',1,'worker','2026-12-01 04:02:23.338',NULL,NULL,NULL,NULL);
CREATE TABLE cells (
	id INTEGER NOT NULL, 
	spec_id INTEGER NOT NULL, 
	run_id TEXT, 
	hash TEXT NOT NULL, 
	experiment TEXT NOT NULL, 
	position INTEGER, 
	seed BIGINT NOT NULL, 
	label TEXT NOT NULL, 
	axes TEXT NOT NULL, 
	overrides TEXT, 
	budget BIGINT, 
	resolved TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	submitted_at DATETIME NOT NULL, 
	CONSTRAINT pk_cells PRIMARY KEY (id), 
	CONSTRAINT fk_cells_spec_id FOREIGN KEY(spec_id) REFERENCES specs (id), 
	CONSTRAINT fk_cells_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT uq_cells_run_id_spec_id_hash UNIQUE (run_id, spec_id, hash)
);
INSERT INTO "cells" VALUES(1,1,'80965d5433b24fe69a4529cada314e3f','42b6dde4a00c13dd720487fa41a89e376eb7c56597625482aefc5cabc49535fa','emoji',2,0,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.109','2026-12-01 04:02:23.109');
INSERT INTO "cells" VALUES(2,1,'9ea832ce190647eba87bbd25d812e875','91c3a366a38dbe86c6185116b137435ae65dab236753e3ffd498af4c6cb0dc3d','emoji',2,1,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.216','2026-12-01 04:02:23.216');
INSERT INTO "cells" VALUES(3,2,'eac207bcc2bf41c1b9112138c14a2abc','42b6dde4a00c13dd720487fa41a89e376eb7c56597625482aefc5cabc49535fa','emoji',2,0,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.266','2026-12-01 04:02:23.266');
INSERT INTO "cells" VALUES(4,3,'a18b6c8600e0418e8d5c4195bf4d9252','42b6dde4a00c13dd720487fa41a89e376eb7c56597625482aefc5cabc49535fa','emoji',2,0,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.303','2026-12-01 04:02:23.303');
INSERT INTO "cells" VALUES(5,4,'2c757d81a8a84d638e0e85fd3ffbc914','42b6dde4a00c13dd720487fa41a89e376eb7c56597625482aefc5cabc49535fa','emoji',2,0,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.335','2026-12-01 04:02:23.335');
INSERT INTO "cells" VALUES(6,5,NULL,'087acef90b2f3ff4d8a7367536f2fce44f23eab3331f8806acfd65ee3ce1d9f4','queued',2,0,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.352000','2026-12-01 04:02:23.352000');
INSERT INTO "cells" VALUES(7,5,NULL,'3399c545ba44b1473bac58828f468d709ab39caec49e6bb0e891291019b66fcf','queued',2,1,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.352000','2026-12-01 04:02:23.352000');
INSERT INTO "cells" VALUES(8,5,NULL,'fcb2bf14142cacf802476b7b288528a9fbf99e76d6c3ca485f6d559a3a5db5fc','queued',2,2,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.352000','2026-12-01 04:02:23.352000');
INSERT INTO "cells" VALUES(9,5,NULL,'4edac75aa4645a4d51c6987e3682fe8ba9d5672b651195a3f5e5610b75c11678','queued',2,3,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.352000','2026-12-01 04:02:23.352000');
INSERT INTO "cells" VALUES(10,5,NULL,'66936523e5832350fce8f207a1a1ec28da6fb9e6dedba0dcd8ea303667e95602','queued',2,4,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.352000','2026-12-01 04:02:23.352000');
INSERT INTO "cells" VALUES(11,5,NULL,'66266801647e575c4671242177646e0ecbee2c94ae46fb4f95e8f65249f90f51','queued',2,9,'fusion=gating','{"fusion": {"use": "gating"}}','{"set": ["meta.who=\"🦜\""], "files": [{"name": "more.toml", "text": "a = 1\n"}]}',900,'{"name": "emoji", "fusion": {"use": "gating"}}','2026-12-01 04:02:23.567000','2026-12-01 04:02:23.567000');
CREATE TABLE column_docs (
	table_name TEXT NOT NULL, 
	column_name TEXT NOT NULL, 
	meaning TEXT NOT NULL, 
	CONSTRAINT pk_column_docs PRIMARY KEY (table_name, column_name)
);
INSERT INTO "column_docs" VALUES('column_docs','','What every table, view and column holds; some databases keep no comments');
INSERT INTO "column_docs" VALUES('column_docs','table_name','a table or view');
INSERT INTO "column_docs" VALUES('column_docs','column_name','its column; empty for the table itself');
INSERT INTO "column_docs" VALUES('column_docs','meaning','what it holds');
INSERT INTO "column_docs" VALUES('detections','','One row per box that was found in a picture');
INSERT INTO "column_docs" VALUES('detections','evaluation_id','the evaluation: evaluations.id');
INSERT INTO "column_docs" VALUES('detections','sample_id','the picture: samples.id');
INSERT INTO "column_docs" VALUES('detections','rank','1 for the surest box of the picture');
INSERT INTO "column_docs" VALUES('detections','label_id','the label of what is in it: labels.id');
INSERT INTO "column_docs" VALUES('detections','x0','left end of the box in pixels');
INSERT INTO "column_docs" VALUES('detections','y0','upper end of the box in pixels');
INSERT INTO "column_docs" VALUES('detections','x1','right end of the box in pixels');
INSERT INTO "column_docs" VALUES('detections','y1','lower end of the box in pixels');
INSERT INTO "column_docs" VALUES('detections','score','how sure it is; higher is surer');
INSERT INTO "column_docs" VALUES('detections','truth','number of the true box that it is; NULL if it is none');
INSERT INTO "column_docs" VALUES('identities','','One row per hash: the values it stands for, so that a hit by hash can be confirmed');
INSERT INTO "column_docs" VALUES('identities','hash','a run''s group hash, or an evaluation hash');
INSERT INTO "column_docs" VALUES('identities','content','JSON: every value, also those left out of it');
INSERT INTO "column_docs" VALUES('label_sets','','One row per ordered set of labels that something was scored against');
INSERT INTO "column_docs" VALUES('label_sets','id','number of the label set');
INSERT INTO "column_docs" VALUES('label_sets','hash','sha256 of the texts in order');
INSERT INTO "column_docs" VALUES('label_sets','label_count','how many labels it has');
INSERT INTO "column_docs" VALUES('metric_declarations','','One row per declaration of a metric, as whoever gave it made it with the results');
INSERT INTO "column_docs" VALUES('metric_declarations','id','number of the declaration');
INSERT INTO "column_docs" VALUES('metric_declarations','hash','sha256 of all that it declares');
INSERT INTO "column_docs" VALUES('metric_declarations','name','the metric''s name, as in metrics.name');
INSERT INTO "column_docs" VALUES('metric_declarations','better','which values are better: higher, lower; NULL if neither');
INSERT INTO "column_docs" VALUES('metric_declarations','unit','share (of 1), rank, nats, ...; empty if none');
INSERT INTO "column_docs" VALUES('metric_declarations','position','place among the metrics of one evaluation; the first present one ranks it');
INSERT INTO "column_docs" VALUES('metric_declarations','mean_of','mean of what of sample_results: outcome, -outcome, rank<=K (share), median rank');
INSERT INTO "column_docs" VALUES('metric_declarations','low_of','the metric of whose 95% interval it is the low end, or NULL');
INSERT INTO "column_docs" VALUES('metric_declarations','high_of','the metric of whose 95% interval it is the high end, or NULL');
INSERT INTO "column_docs" VALUES('metric_declarations','board','which table of a report shows it: leaderboard or robustness');
INSERT INTO "column_docs" VALUES('metric_declarations','has_gain','whether fusion gains are told of its outcomes');
INSERT INTO "column_docs" VALUES('pictures','','One row per small picture; several samples may have the same');
INSERT INTO "column_docs" VALUES('pictures','id','number of the picture');
INSERT INTO "column_docs" VALUES('pictures','hash','sha256 of the bytes');
INSERT INTO "column_docs" VALUES('pictures','size_bytes','of the bytes');
INSERT INTO "column_docs" VALUES('pictures','image','a small picture, WebP bytes');
INSERT INTO "column_docs" VALUES('properties','','One row per fact about the database itself');
INSERT INTO "column_docs" VALUES('properties','key','id, or runs_folder');
INSERT INTO "column_docs" VALUES('properties','value','this database''s own uuid; the token of the folder where its runs leave files');
INSERT INTO "column_docs" VALUES('rankings','','One row per evaluation, sample and rank: the first labels of every sample');
INSERT INTO "column_docs" VALUES('rankings','evaluation_id','the evaluation: evaluations.id');
INSERT INTO "column_docs" VALUES('rankings','sample_id','the sample: samples.id');
INSERT INTO "column_docs" VALUES('rankings','rank','1 for the label ranked first');
INSERT INTO "column_docs" VALUES('rankings','label_id','the label at this rank: labels.id');
INSERT INTO "column_docs" VALUES('rankings','score','its probability, or score; NULL if not a number');
INSERT INTO "column_docs" VALUES('samples','','One row per sample that was evaluated at least once');
INSERT INTO "column_docs" VALUES('samples','id','number of the sample');
INSERT INTO "column_docs" VALUES('samples','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('samples','split','train, validation or test');
INSERT INTO "column_docs" VALUES('samples','stable_id','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('samples','cluster','what it was drawn together with (a person); NULL: alone');
INSERT INTO "column_docs" VALUES('specs','','One row per spec that was ever submitted');
INSERT INTO "column_docs" VALUES('specs','id','number of the spec');
INSERT INTO "column_docs" VALUES('specs','hash','sha256 of text and resolved');
INSERT INTO "column_docs" VALUES('specs','name','file name, without its folder');
INSERT INTO "column_docs" VALUES('specs','text','the TOML file, exactly');
INSERT INTO "column_docs" VALUES('specs','resolved','JSON: the spec with every default filled in');
INSERT INTO "column_docs" VALUES('specs','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('labels','','One row per label of a label set');
INSERT INTO "column_docs" VALUES('labels','id','number of the label');
INSERT INTO "column_docs" VALUES('labels','label_set_id','the set it belongs to');
INSERT INTO "column_docs" VALUES('labels','position','the dataset''s label id, from 0');
INSERT INTO "column_docs" VALUES('labels','text','the label exactly as the dataset gives it');
INSERT INTO "column_docs" VALUES('labels','text_hash','sha256 of text; long texts fit no index');
INSERT INTO "column_docs" VALUES('runs','','One row per run: the execution of one cell of a spec''s sweep');
INSERT INTO "column_docs" VALUES('runs','id','32 hexadecimal digits');
INSERT INTO "column_docs" VALUES('runs','spec_id','the spec it came from; NULL for imported results');
INSERT INTO "column_docs" VALUES('runs','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('runs','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('runs','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('runs','resolved','JSON: the spec as the run executes it');
INSERT INTO "column_docs" VALUES('runs','train_hash','identity of the training, seed included');
INSERT INTO "column_docs" VALUES('runs','group_hash','the train hash without its seed');
INSERT INTO "column_docs" VALUES('runs','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('runs','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('runs','status','queued, running, done, failed or cancelled');
INSERT INTO "column_docs" VALUES('runs','fence','times claimed; older claims are void');
INSERT INTO "column_docs" VALUES('runs','worker','the process executing it; NULL unless running');
INSERT INTO "column_docs" VALUES('runs','lease_until','free after this; NULL unless running');
INSERT INTO "column_docs" VALUES('runs','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('runs','started_at','last claimed, UTC');
INSERT INTO "column_docs" VALUES('runs','finished_at','done, failed or cancelled, UTC');
INSERT INTO "column_docs" VALUES('runs','provenance','JSON: code, versions, machine, data');
INSERT INTO "column_docs" VALUES('runs','summary','JSON: durations, memory, speed');
INSERT INTO "column_docs" VALUES('runs','error','why it failed, in one paragraph; NULL unless failed');
INSERT INTO "column_docs" VALUES('runs','origin','what it was imported from; NULL for a run executed here');
INSERT INTO "column_docs" VALUES('thumbnails','','One row per sample that has a small picture, so that reports need no dataset');
INSERT INTO "column_docs" VALUES('thumbnails','sample_id','the sample');
INSERT INTO "column_docs" VALUES('thumbnails','place','63 bits of the sha256 of its id: the lowest stay where there is no room');
INSERT INTO "column_docs" VALUES('thumbnails','picture_id','its small picture');
INSERT INTO "column_docs" VALUES('thumbnails','width','of the whole picture in pixels; NULL if unknown');
INSERT INTO "column_docs" VALUES('thumbnails','height','of the whole picture in pixels; NULL if unknown');
INSERT INTO "column_docs" VALUES('attempts','','One row per claim of a run: every try is kept, also those that failed');
INSERT INTO "column_docs" VALUES('attempts','run_id','the run');
INSERT INTO "column_docs" VALUES('attempts','fence','1 for the first attempt');
INSERT INTO "column_docs" VALUES('attempts','worker','the process that made it');
INSERT INTO "column_docs" VALUES('attempts','started_at','claimed, UTC');
INSERT INTO "column_docs" VALUES('attempts','finished_at','ended, UTC; NULL while running');
INSERT INTO "column_docs" VALUES('attempts','outcome','how it ended: ok, error, oom, nan, ...; NULL while running');
INSERT INTO "column_docs" VALUES('attempts','message','why it did not succeed');
INSERT INTO "column_docs" VALUES('attempts','traceback','the program''s full account of a failure');
INSERT INTO "column_docs" VALUES('cells','','One row per cell of a spec''s sweep and run that it is; several cells may be one run');
INSERT INTO "column_docs" VALUES('cells','id','number of the cell, higher if newer');
INSERT INTO "column_docs" VALUES('cells','spec_id','the spec it belongs to');
INSERT INTO "column_docs" VALUES('cells','run_id','the run it is; NULL where none was found yet');
INSERT INTO "column_docs" VALUES('cells','hash','sha256 of all that the cell says');
INSERT INTO "column_docs" VALUES('cells','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('cells','position','place in its sweep, from 0; NULL where it is unknown');
INSERT INTO "column_docs" VALUES('cells','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('cells','label','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('cells','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('cells','overrides','JSON: texts of --set, files of --set-file; NULL where unknown');
INSERT INTO "column_docs" VALUES('cells','budget','parameters of fusion and head to meet; NULL if none');
INSERT INTO "column_docs" VALUES('cells','resolved','JSON: its own spec as asked, in order, defaults filled in, paths absolute');
INSERT INTO "column_docs" VALUES('cells','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('cells','submitted_at','last submitted, UTC');
INSERT INTO "column_docs" VALUES('evaluation_parts','','One row per part of an evaluation that is not merged yet');
INSERT INTO "column_docs" VALUES('evaluation_parts','run_id','the run that is evaluated');
INSERT INTO "column_docs" VALUES('evaluation_parts','evaluation_hash','as of the evaluation to be');
INSERT INTO "column_docs" VALUES('evaluation_parts','work','what is made, in words and as hashes');
INSERT INTO "column_docs" VALUES('evaluation_parts','part','its place in the work, from 0');
INSERT INTO "column_docs" VALUES('evaluation_parts','first','its first item (sample, text, ...), from 0');
INSERT INTO "column_docs" VALUES('evaluation_parts','count','how many items it has');
INSERT INTO "column_docs" VALUES('evaluation_parts','status','queued, running or done');
INSERT INTO "column_docs" VALUES('evaluation_parts','fence','times claimed; older claims are void');
INSERT INTO "column_docs" VALUES('evaluation_parts','worker','the process computing it; NULL unless running');
INSERT INTO "column_docs" VALUES('evaluation_parts','lease_until','free after this; NULL unless running');
INSERT INTO "column_docs" VALUES('evaluation_parts','digest','sha256 of the file of its results; NULL unless done');
INSERT INTO "column_docs" VALUES('evaluation_parts','path','that file, relative to the runs folder; NULL unless done');
INSERT INTO "column_docs" VALUES('evaluations','','One row per result of an evaluator on a run; more may be added to a finished run');
INSERT INTO "column_docs" VALUES('evaluations','id','number of the evaluation');
INSERT INTO "column_docs" VALUES('evaluations','run_id','the run it evaluates');
INSERT INTO "column_docs" VALUES('evaluations','name','its name in the spec, shown in reports');
INSERT INTO "column_docs" VALUES('evaluations','evaluator','the evaluator: zero_shot, retrieval, ...');
INSERT INTO "column_docs" VALUES('evaluations','condition','which of several results; usually empty');
INSERT INTO "column_docs" VALUES('evaluations','split','train, validation or test');
INSERT INTO "column_docs" VALUES('evaluations','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('evaluations','step','training step of the weights; NULL if untrained');
INSERT INTO "column_docs" VALUES('evaluations','evaluation_hash','train hash and evaluator''s options');
INSERT INTO "column_docs" VALUES('evaluations','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('evaluations','protocol','JSON: all that must be equal to compare');
INSERT INTO "column_docs" VALUES('evaluations','subject_hash','sha256 of subject');
INSERT INTO "column_docs" VALUES('evaluations','subject','JSON: weights, precision, scale, preprocessing');
INSERT INTO "column_docs" VALUES('evaluations','label_set_id','the labels scored against; NULL if none');
INSERT INTO "column_docs" VALUES('evaluations','templates','JSON: the prompt templates, in order');
INSERT INTO "column_docs" VALUES('evaluations','sample_count','samples scored');
INSERT INTO "column_docs" VALUES('evaluations','skipped_count','samples that could not take part');
INSERT INTO "column_docs" VALUES('evaluations','created_at','recorded, UTC');
INSERT INTO "column_docs" VALUES('evaluations','test_set','published name of the samples, split included; NULL if the dataset has none');
INSERT INTO "column_docs" VALUES('evaluations','main_metric','the metric quoted for that test set; NULL for the usual one');
INSERT INTO "column_docs" VALUES('evaluations','suite','JSON: keys of the datasets asked as one suite, its own included; NULL if alone');
INSERT INTO "column_docs" VALUES('skipped_samples','','One row per run and sample that could not be read and was left out as the spec allows');
INSERT INTO "column_docs" VALUES('skipped_samples','run_id','the run');
INSERT INTO "column_docs" VALUES('skipped_samples','dataset_revision','of the data without these samples');
INSERT INTO "column_docs" VALUES('skipped_samples','split','train, validation or test');
INSERT INTO "column_docs" VALUES('skipped_samples','position','in the dataset''s order, from 0');
INSERT INTO "column_docs" VALUES('skipped_samples','sample','the dataset''s own id, or its position');
INSERT INTO "column_docs" VALUES('skipped_samples','reason','why it could not be read');
INSERT INTO "column_docs" VALUES('confusions','','One row per evaluation and pair of a true label and a label ranked first');
INSERT INTO "column_docs" VALUES('confusions','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('confusions','truth_id','a true label');
INSERT INTO "column_docs" VALUES('confusions','predicted_id','ranked first');
INSERT INTO "column_docs" VALUES('confusions','sample_count','samples of this pair');
INSERT INTO "column_docs" VALUES('label_metrics','','One row per evaluation, label and metric');
INSERT INTO "column_docs" VALUES('label_metrics','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('label_metrics','label_id','the label');
INSERT INTO "column_docs" VALUES('label_metrics','name','recall, support, mean_rank, ...');
INSERT INTO "column_docs" VALUES('label_metrics','value','NULL where it is not defined');
INSERT INTO "column_docs" VALUES('label_metrics','metric_declaration_id','what the metric is; NULL where nobody has declared it');
INSERT INTO "column_docs" VALUES('metrics','','One row per value: points of training curves, and final metrics of evaluations');
INSERT INTO "column_docs" VALUES('metrics','run_id','the run');
INSERT INTO "column_docs" VALUES('metrics','evaluation_id','the evaluation it belongs to; NULL for a curve''s points');
INSERT INTO "column_docs" VALUES('metrics','name','top1, or train/loss for a curve');
INSERT INTO "column_docs" VALUES('metrics','step','training step; NULL for an evaluation''s metric');
INSERT INTO "column_docs" VALUES('metrics','value','the value; NULL unless value_kind is finite');
INSERT INTO "column_docs" VALUES('metrics','value_kind','finite, nan, inf, -inf, or undefined: no value');
INSERT INTO "column_docs" VALUES('metrics','metric_declaration_id','what the metric is; NULL where nobody has declared it');
INSERT INTO "column_docs" VALUES('queue','','One row per submitted cell and per rerun: what is to be done, and who does it');
INSERT INTO "column_docs" VALUES('queue','id','place in the queue');
INSERT INTO "column_docs" VALUES('queue','cell_id','what is asked for: a cell without a run');
INSERT INTO "column_docs" VALUES('queue','experiment','the spec''s name, as in the cell');
INSERT INTO "column_docs" VALUES('queue','status','queued, running, done, failed, cancelled, or blocked: what it starts from failed');
INSERT INTO "column_docs" VALUES('queue','priority','higher ones are claimed first; usually 0');
INSERT INTO "column_docs" VALUES('queue','waits_for','JSON: experiments, or ids of runs, that must have ended before it can start');
INSERT INTO "column_docs" VALUES('queue','asked_hash','train hash as the submitter computed it; NULL if unknown');
INSERT INTO "column_docs" VALUES('queue','rerun','whether one more replicate is wanted in any case');
INSERT INTO "column_docs" VALUES('queue','run_id','the run it became; NULL before it was begun');
INSERT INTO "column_docs" VALUES('queue','fence','times claimed; older claims are void');
INSERT INTO "column_docs" VALUES('queue','worker','the process that has it; NULL unless running');
INSERT INTO "column_docs" VALUES('queue','lease_until','free after this; NULL unless running');
INSERT INTO "column_docs" VALUES('queue','deaths','how often in a row the process of the cell died equally');
INSERT INTO "column_docs" VALUES('queue','death','how it died last: exit code or signal; NULL if it never did');
INSERT INTO "column_docs" VALUES('queue','reason','why it was given back, blocked, failed or cancelled; else NULL');
INSERT INTO "column_docs" VALUES('queue','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('queue','ended_at','done, failed or cancelled, UTC');
INSERT INTO "column_docs" VALUES('reliability','','One row per evaluation and bin: are probabilities of first labels what they say?');
INSERT INTO "column_docs" VALUES('reliability','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('reliability','bin','from 0, by the first label''s probability');
INSERT INTO "column_docs" VALUES('reliability','low','probabilities in the bin are above this');
INSERT INTO "column_docs" VALUES('reliability','high','and at most this');
INSERT INTO "column_docs" VALUES('reliability','sample_count','samples in the bin');
INSERT INTO "column_docs" VALUES('reliability','probability','their mean; NULL in an empty bin');
INSERT INTO "column_docs" VALUES('reliability','accuracy','share whose first label is true; NULL in an empty bin');
INSERT INTO "column_docs" VALUES('run_artifacts','','One row per file that a run left');
INSERT INTO "column_docs" VALUES('run_artifacts','id','number of the artifact');
INSERT INTO "column_docs" VALUES('run_artifacts','run_id','the run that left it');
INSERT INTO "column_docs" VALUES('run_artifacts','evaluation_id','the evaluation it belongs to, if one');
INSERT INTO "column_docs" VALUES('run_artifacts','sample_id','the sample it belongs to, if one');
INSERT INTO "column_docs" VALUES('run_artifacts','role','what it is for: best, final, ...');
INSERT INTO "column_docs" VALUES('run_artifacts','path','path relative to the runs folder');
INSERT INTO "column_docs" VALUES('run_artifacts','sha256','of the file''s bytes');
INSERT INTO "column_docs" VALUES('run_artifacts','size_bytes','of the file');
INSERT INTO "column_docs" VALUES('sample_results','','One row per evaluation and sample (or query)');
INSERT INTO "column_docs" VALUES('sample_results','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('sample_results','sample_id','the sample');
INSERT INTO "column_docs" VALUES('sample_results','rank','best rank of a true label, from 1; NULL if unknown');
INSERT INTO "column_docs" VALUES('sample_results','probability','of that label; NULL where scores are no probabilities');
INSERT INTO "column_docs" VALUES('sample_results','top_label_id','the label ranked first, if any');
INSERT INTO "column_docs" VALUES('sample_results','top_probability','of the label ranked first; NULL as above');
INSERT INTO "column_docs" VALUES('sample_results','has_tie','another label scored as the true one did');
INSERT INTO "column_docs" VALUES('sample_results','outcome','what paired statistics compare; higher is better');
INSERT INTO "column_docs" VALUES('sample_targets','','One row per evaluation, sample and number predicted: what regressions compare');
INSERT INTO "column_docs" VALUES('sample_targets','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('sample_targets','sample_id','the sample');
INSERT INTO "column_docs" VALUES('sample_targets','target','what was predicted, by its name');
INSERT INTO "column_docs" VALUES('sample_targets','truth','its value; NULL where it is unknown');
INSERT INTO "column_docs" VALUES('sample_targets','prediction','in the same unit; NULL if not a number');
INSERT INTO "column_docs" VALUES('sample_truths','','One row per true label of an evaluated sample; several for multi-label data');
INSERT INTO "column_docs" VALUES('sample_truths','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('sample_truths','sample_id','the sample');
INSERT INTO "column_docs" VALUES('sample_truths','label_id','a true label of it');
INSERT INTO "column_docs" VALUES('shots','','One row per training sample of a few-shot evaluation');
INSERT INTO "column_docs" VALUES('shots','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('shots','sample_id','a training sample it learnt from');
INSERT INTO "column_docs" VALUES('true_boxes','','One row per box that is in a picture of an evaluation that looks for boxes');
INSERT INTO "column_docs" VALUES('true_boxes','evaluation_id','the evaluation');
INSERT INTO "column_docs" VALUES('true_boxes','sample_id','the picture');
INSERT INTO "column_docs" VALUES('true_boxes','number','of the box in its picture, from 0');
INSERT INTO "column_docs" VALUES('true_boxes','label_id','the label of what is in it');
INSERT INTO "column_docs" VALUES('true_boxes','x0','left end of the box in pixels');
INSERT INTO "column_docs" VALUES('true_boxes','y0','upper end of the box in pixels');
INSERT INTO "column_docs" VALUES('true_boxes','x1','right end of the box in pixels');
INSERT INTO "column_docs" VALUES('true_boxes','y1','lower end of the box in pixels');
INSERT INTO "column_docs" VALUES('true_boxes','area','of the object in square pixels');
INSERT INTO "column_docs" VALUES('true_boxes','is_crowd','around many that nobody told apart');
INSERT INTO "column_docs" VALUES('true_boxes','is_difficult','nobody needs to find it');
INSERT INTO "column_docs" VALUES('all_runs','','One row per run, whatever its status: how it went and what it cost');
INSERT INTO "column_docs" VALUES('all_runs','run_id','the run');
INSERT INTO "column_docs" VALUES('all_runs','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('all_runs','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('all_runs','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('all_runs','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('all_runs','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('all_runs','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('all_runs','status','queued, running, done, failed or cancelled');
INSERT INTO "column_docs" VALUES('all_runs','attempts','times claimed; older claims are void');
INSERT INTO "column_docs" VALUES('all_runs','outcome','how the last attempt ended: ok, error, nan, ..., or NULL');
INSERT INTO "column_docs" VALUES('all_runs','error','why it failed, in one paragraph; NULL unless failed');
INSERT INTO "column_docs" VALUES('all_runs','seconds','from the last claim to its end; NULL if it has not ended');
INSERT INTO "column_docs" VALUES('all_runs','memory_bytes','peak of the device, or process; NULL if unknown');
INSERT INTO "column_docs" VALUES('all_runs','parameters','of the whole model; NULL if unknown');
INSERT INTO "column_docs" VALUES('all_runs','code_revision','commit of the work tree it was run in; NULL if unknown');
INSERT INTO "column_docs" VALUES('all_runs','data_revisions','of its datasets, each once, by comma; NULL if unknown');
INSERT INTO "column_docs" VALUES('all_runs','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('all_runs','started_at','last claimed, UTC');
INSERT INTO "column_docs" VALUES('all_runs','finished_at','done, failed or cancelled, UTC');
INSERT INTO "column_docs" VALUES('all_runs','worker','the process executing it; NULL unless running');
INSERT INTO "column_docs" VALUES('all_runs','lease_until','free after this; NULL unless running');
INSERT INTO "column_docs" VALUES('all_runs','train_hash','identity of the training, seed included');
INSERT INTO "column_docs" VALUES('all_runs','origin','what it was imported from; NULL for a run executed here');
INSERT INTO "column_docs" VALUES('all_runs','spec_id','the spec it came from; NULL for imported results');
INSERT INTO "column_docs" VALUES('all_runs','spec','file name of its spec, without the folder; NULL if imported');
INSERT INTO "column_docs" VALUES('all_runs','spec_text','the TOML file, exactly; NULL for imported results');
INSERT INTO "column_docs" VALUES('all_runs','resolved','JSON: the spec as the run executes it');
INSERT INTO "column_docs" VALUES('all_runs','provenance','JSON: code, versions, machine, data');
INSERT INTO "column_docs" VALUES('all_runs','summary','JSON: durations, memory, speed');
INSERT INTO "column_docs" VALUES('artifacts','','One row per file that a run left, whatever its status');
INSERT INTO "column_docs" VALUES('artifacts','id','number of the artifact');
INSERT INTO "column_docs" VALUES('artifacts','run_id','the run');
INSERT INTO "column_docs" VALUES('artifacts','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('artifacts','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('artifacts','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('artifacts','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('artifacts','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('artifacts','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('artifacts','status','queued, running, done, failed or cancelled');
INSERT INTO "column_docs" VALUES('artifacts','evaluation_id','the evaluation it belongs to, if one');
INSERT INTO "column_docs" VALUES('artifacts','sample_id','the sample it belongs to, if one');
INSERT INTO "column_docs" VALUES('artifacts','role','what it is for: best, final, ...');
INSERT INTO "column_docs" VALUES('artifacts','path','path relative to the runs folder');
INSERT INTO "column_docs" VALUES('artifacts','sha256','of the file''s bytes');
INSERT INTO "column_docs" VALUES('artifacts','size_bytes','of the file');
INSERT INTO "column_docs" VALUES('box_detections','','One row per box that a done run found in a picture');
INSERT INTO "column_docs" VALUES('box_detections','run_id','the run');
INSERT INTO "column_docs" VALUES('box_detections','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('box_detections','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('box_detections','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('box_detections','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('box_detections','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('box_detections','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('box_detections','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('box_detections','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('box_detections','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('box_detections','split','train, validation or test');
INSERT INTO "column_docs" VALUES('box_detections','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('box_detections','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('box_detections','sample_id','the picture: samples.id');
INSERT INTO "column_docs" VALUES('box_detections','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('box_detections','rank','1 for the surest box of the picture');
INSERT INTO "column_docs" VALUES('box_detections','label','the label of what is in it');
INSERT INTO "column_docs" VALUES('box_detections','x0','left end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_detections','y0','upper end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_detections','x1','right end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_detections','y1','lower end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_detections','score','how sure it is; higher is surer');
INSERT INTO "column_docs" VALUES('box_detections','truth','number of the true box that it is; NULL if it is none');
INSERT INTO "column_docs" VALUES('box_detections','is_right','whether it is a true box that is to be found');
INSERT INTO "column_docs" VALUES('box_detections','is_ignored','whether it is one that need not be found');
INSERT INTO "column_docs" VALUES('box_truths','','One row per box that is in a picture in which a done run looked for boxes');
INSERT INTO "column_docs" VALUES('box_truths','run_id','the run');
INSERT INTO "column_docs" VALUES('box_truths','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('box_truths','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('box_truths','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('box_truths','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('box_truths','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('box_truths','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('box_truths','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('box_truths','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('box_truths','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('box_truths','split','train, validation or test');
INSERT INTO "column_docs" VALUES('box_truths','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('box_truths','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('box_truths','sample_id','the picture');
INSERT INTO "column_docs" VALUES('box_truths','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('box_truths','number','of the box in its picture, from 0');
INSERT INTO "column_docs" VALUES('box_truths','label','the label of what is in it');
INSERT INTO "column_docs" VALUES('box_truths','x0','left end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_truths','y0','upper end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_truths','x1','right end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_truths','y1','lower end of the box in pixels');
INSERT INTO "column_docs" VALUES('box_truths','area','of the object in square pixels');
INSERT INTO "column_docs" VALUES('box_truths','is_crowd','around many that nobody told apart');
INSERT INTO "column_docs" VALUES('box_truths','is_difficult','nobody needs to find it');
INSERT INTO "column_docs" VALUES('comparisons','','One row per sample and pair of runs that may be compared; filter by both run ids');
INSERT INTO "column_docs" VALUES('comparisons','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('comparisons','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('comparisons','split','train, validation or test');
INSERT INTO "column_docs" VALUES('comparisons','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('comparisons','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('comparisons','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('comparisons','left_run_id','the run');
INSERT INTO "column_docs" VALUES('comparisons','left_experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('comparisons','left_cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('comparisons','left_axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('comparisons','left_seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('comparisons','left_replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('comparisons','left_group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('comparisons','left_rank','its rank of the truth; NULL without a truth');
INSERT INTO "column_docs" VALUES('comparisons','left_outcome','what paired statistics compare; higher is better');
INSERT INTO "column_docs" VALUES('comparisons','right_run_id','the run');
INSERT INTO "column_docs" VALUES('comparisons','right_experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('comparisons','right_cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('comparisons','right_axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('comparisons','right_seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('comparisons','right_replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('comparisons','right_group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('comparisons','right_rank','its rank of the truth; NULL without a truth');
INSERT INTO "column_docs" VALUES('comparisons','right_outcome','what paired statistics compare; higher is better');
INSERT INTO "column_docs" VALUES('curves','','One row per point of a done run''s training curves');
INSERT INTO "column_docs" VALUES('curves','run_id','the run');
INSERT INTO "column_docs" VALUES('curves','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('curves','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('curves','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('curves','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('curves','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('curves','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('curves','metric','train/loss, validation/zero_shot/top1, ...');
INSERT INTO "column_docs" VALUES('curves','step','training step');
INSERT INTO "column_docs" VALUES('curves','value','the value; NULL unless value_kind is finite');
INSERT INTO "column_docs" VALUES('curves','value_kind','finite, nan, inf, -inf, or undefined: no value');
INSERT INTO "column_docs" VALUES('curves','better','which values are better: higher, lower; NULL if unknown');
INSERT INTO "column_docs" VALUES('curves','unit','share (of 1), rank, ...; empty if none, NULL if unknown');
INSERT INTO "column_docs" VALUES('curves','metric_declaration_id','number of the declaration, or NULL');
INSERT INTO "column_docs" VALUES('declared_metrics','','One row per declaration of a metric, as whoever gave it made it with the results');
INSERT INTO "column_docs" VALUES('declared_metrics','metric_declaration_id','number of the declaration');
INSERT INTO "column_docs" VALUES('declared_metrics','metric','the metric''s name, as in metrics.name');
INSERT INTO "column_docs" VALUES('declared_metrics','better','which values are better: higher, lower; NULL if neither');
INSERT INTO "column_docs" VALUES('declared_metrics','unit','share (of 1), rank, nats, ...; empty if none');
INSERT INTO "column_docs" VALUES('declared_metrics','position','place among the metrics of one evaluation; the first present one ranks it');
INSERT INTO "column_docs" VALUES('declared_metrics','mean_of','mean of what of sample_results: outcome, -outcome, rank<=K (share), median rank');
INSERT INTO "column_docs" VALUES('declared_metrics','low_of','the metric of whose 95% interval it is the low end, or NULL');
INSERT INTO "column_docs" VALUES('declared_metrics','high_of','the metric of whose 95% interval it is the high end, or NULL');
INSERT INTO "column_docs" VALUES('declared_metrics','board','which table of a report shows it: leaderboard or robustness');
INSERT INTO "column_docs" VALUES('declared_metrics','has_gain','whether fusion gains are told of its outcomes');
INSERT INTO "column_docs" VALUES('label_confusions','','One row per pair of a true label and a label ranked first, in done runs');
INSERT INTO "column_docs" VALUES('label_confusions','run_id','the run');
INSERT INTO "column_docs" VALUES('label_confusions','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('label_confusions','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('label_confusions','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('label_confusions','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('label_confusions','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('label_confusions','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('label_confusions','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('label_confusions','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('label_confusions','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('label_confusions','split','train, validation or test');
INSERT INTO "column_docs" VALUES('label_confusions','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('label_confusions','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('label_confusions','truth','a true label');
INSERT INTO "column_docs" VALUES('label_confusions','predicted','the label ranked first');
INSERT INTO "column_docs" VALUES('label_confusions','sample_count','samples of this pair');
INSERT INTO "column_docs" VALUES('label_rankings','','One row per ranked label of every evaluated sample of a done run');
INSERT INTO "column_docs" VALUES('label_rankings','run_id','the run');
INSERT INTO "column_docs" VALUES('label_rankings','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('label_rankings','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('label_rankings','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('label_rankings','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('label_rankings','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('label_rankings','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('label_rankings','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('label_rankings','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('label_rankings','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('label_rankings','split','train, validation or test');
INSERT INTO "column_docs" VALUES('label_rankings','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('label_rankings','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('label_rankings','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('label_rankings','rank','1 for the label ranked first');
INSERT INTO "column_docs" VALUES('label_rankings','label','the label at this rank');
INSERT INTO "column_docs" VALUES('label_rankings','score','its probability, or score; NULL if not a number');
INSERT INTO "column_docs" VALUES('label_rankings','is_truth','whether it is a true label of the sample');
INSERT INTO "column_docs" VALUES('label_rankings','sample_id','the sample: samples.id');
INSERT INTO "column_docs" VALUES('label_results','','One row per metric of a label in an evaluation of a done run');
INSERT INTO "column_docs" VALUES('label_results','run_id','the run');
INSERT INTO "column_docs" VALUES('label_results','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('label_results','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('label_results','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('label_results','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('label_results','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('label_results','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('label_results','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('label_results','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('label_results','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('label_results','split','train, validation or test');
INSERT INTO "column_docs" VALUES('label_results','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('label_results','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('label_results','label','the label exactly as the dataset gives it');
INSERT INTO "column_docs" VALUES('label_results','position','the dataset''s label id, from 0');
INSERT INTO "column_docs" VALUES('label_results','metric','recall, support, mean_rank, ...');
INSERT INTO "column_docs" VALUES('label_results','value','NULL where it is not defined');
INSERT INTO "column_docs" VALUES('label_results','better','which values are better: higher, lower; NULL if unknown');
INSERT INTO "column_docs" VALUES('label_results','unit','share (of 1), rank, ...; empty if none, NULL if unknown');
INSERT INTO "column_docs" VALUES('label_results','metric_declaration_id','number of the declaration, or NULL');
INSERT INTO "column_docs" VALUES('leaderboard','','One row per final metric of a done run');
INSERT INTO "column_docs" VALUES('leaderboard','run_id','the run');
INSERT INTO "column_docs" VALUES('leaderboard','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('leaderboard','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('leaderboard','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('leaderboard','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('leaderboard','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('leaderboard','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('leaderboard','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('leaderboard','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('leaderboard','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('leaderboard','split','train, validation or test');
INSERT INTO "column_docs" VALUES('leaderboard','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('leaderboard','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('leaderboard','evaluator','the evaluator: zero_shot, retrieval, ...');
INSERT INTO "column_docs" VALUES('leaderboard','sample_count','samples scored');
INSERT INTO "column_docs" VALUES('leaderboard','skipped_count','samples that could not take part');
INSERT INTO "column_docs" VALUES('leaderboard','metric','the metric''s name');
INSERT INTO "column_docs" VALUES('leaderboard','value','the value; NULL unless value_kind is finite');
INSERT INTO "column_docs" VALUES('leaderboard','value_kind','finite, nan, inf, -inf, or undefined: no value');
INSERT INTO "column_docs" VALUES('leaderboard','finished_at','when the run was done, UTC');
INSERT INTO "column_docs" VALUES('leaderboard','origin','what the run was imported from; NULL if executed here');
INSERT INTO "column_docs" VALUES('leaderboard','test_set','published name of the samples, split included, or NULL');
INSERT INTO "column_docs" VALUES('leaderboard','main_metric','the metric quoted for it; NULL for the usual one');
INSERT INTO "column_docs" VALUES('leaderboard','better','which values are better: higher, lower; NULL if unknown');
INSERT INTO "column_docs" VALUES('leaderboard','unit','share (of 1), rank, ...; empty if none, NULL if unknown');
INSERT INTO "column_docs" VALUES('leaderboard','metric_declaration_id','number of the declaration, or NULL');
INSERT INTO "column_docs" VALUES('live_curves','','One row per point of training curves of every run, also of those that are running');
INSERT INTO "column_docs" VALUES('live_curves','run_id','the run');
INSERT INTO "column_docs" VALUES('live_curves','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('live_curves','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('live_curves','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('live_curves','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('live_curves','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('live_curves','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('live_curves','status','queued, running, done, failed or cancelled');
INSERT INTO "column_docs" VALUES('live_curves','metric','train/loss, validation/zero_shot/top1, ...');
INSERT INTO "column_docs" VALUES('live_curves','step','training step');
INSERT INTO "column_docs" VALUES('live_curves','value','the value; NULL unless value_kind is finite');
INSERT INTO "column_docs" VALUES('live_curves','value_kind','finite, nan, inf, -inf, or undefined: no value');
INSERT INTO "column_docs" VALUES('live_curves','better','which values are better: higher, lower; NULL if unknown');
INSERT INTO "column_docs" VALUES('live_curves','unit','share (of 1), rank, ...; empty if none, NULL if unknown');
INSERT INTO "column_docs" VALUES('live_curves','metric_declaration_id','number of the declaration, or NULL');
INSERT INTO "column_docs" VALUES('queue_places','','One row per submitted cell and per rerun: what is to be done, and who does it');
INSERT INTO "column_docs" VALUES('queue_places','place','place in the queue');
INSERT INTO "column_docs" VALUES('queue_places','cell_id','what is asked for: a cell without a run');
INSERT INTO "column_docs" VALUES('queue_places','experiment','the spec''s name, as in the cell');
INSERT INTO "column_docs" VALUES('queue_places','status','queued, running, done, failed, cancelled, or blocked: what it starts from failed');
INSERT INTO "column_docs" VALUES('queue_places','priority','higher ones are claimed first; usually 0');
INSERT INTO "column_docs" VALUES('queue_places','waits_for','JSON: experiments, or ids of runs, that must have ended before it can start');
INSERT INTO "column_docs" VALUES('queue_places','asked_hash','train hash as the submitter computed it; NULL if unknown');
INSERT INTO "column_docs" VALUES('queue_places','rerun','whether one more replicate is wanted in any case');
INSERT INTO "column_docs" VALUES('queue_places','run_id','the run it became; NULL before it was begun');
INSERT INTO "column_docs" VALUES('queue_places','claims','times claimed; older claims are void');
INSERT INTO "column_docs" VALUES('queue_places','worker','the process that has it; NULL unless running');
INSERT INTO "column_docs" VALUES('queue_places','lease_until','free after this; NULL unless running');
INSERT INTO "column_docs" VALUES('queue_places','deaths','how often in a row the process of the cell died equally');
INSERT INTO "column_docs" VALUES('queue_places','death','how it died last: exit code or signal; NULL if it never did');
INSERT INTO "column_docs" VALUES('queue_places','reason','why it was given back, blocked, failed or cancelled; else NULL');
INSERT INTO "column_docs" VALUES('queue_places','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('queue_places','ended_at','done, failed or cancelled, UTC');
INSERT INTO "column_docs" VALUES('reliability_bins','','One row per evaluation of a done run and bin of probabilities');
INSERT INTO "column_docs" VALUES('reliability_bins','run_id','the run');
INSERT INTO "column_docs" VALUES('reliability_bins','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('reliability_bins','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('reliability_bins','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('reliability_bins','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('reliability_bins','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('reliability_bins','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('reliability_bins','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('reliability_bins','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('reliability_bins','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('reliability_bins','split','train, validation or test');
INSERT INTO "column_docs" VALUES('reliability_bins','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('reliability_bins','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('reliability_bins','bin','from 0, by the first label''s probability');
INSERT INTO "column_docs" VALUES('reliability_bins','low','probabilities in the bin are above this');
INSERT INTO "column_docs" VALUES('reliability_bins','high','and at most this');
INSERT INTO "column_docs" VALUES('reliability_bins','sample_count','samples in the bin');
INSERT INTO "column_docs" VALUES('reliability_bins','probability','their mean; NULL in an empty bin');
INSERT INTO "column_docs" VALUES('reliability_bins','accuracy','share whose first label is true; NULL in an empty bin');
INSERT INTO "column_docs" VALUES('run_attempts','','One row per claim of a run, whatever its status');
INSERT INTO "column_docs" VALUES('run_attempts','run_id','the run');
INSERT INTO "column_docs" VALUES('run_attempts','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('run_attempts','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('run_attempts','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('run_attempts','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('run_attempts','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('run_attempts','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('run_attempts','attempt','1 for the first attempt');
INSERT INTO "column_docs" VALUES('run_attempts','worker','the process that made it');
INSERT INTO "column_docs" VALUES('run_attempts','started_at','claimed, UTC');
INSERT INTO "column_docs" VALUES('run_attempts','finished_at','ended, UTC; NULL while running');
INSERT INTO "column_docs" VALUES('run_attempts','outcome','how it ended: ok, error, oom, nan, ...; NULL while running');
INSERT INTO "column_docs" VALUES('run_attempts','message','why it did not succeed');
INSERT INTO "column_docs" VALUES('run_attempts','traceback','the program''s full account of a failure');
INSERT INTO "column_docs" VALUES('run_evaluations','','One row per result of an evaluator on a done run, with all that it was asked');
INSERT INTO "column_docs" VALUES('run_evaluations','run_id','the run');
INSERT INTO "column_docs" VALUES('run_evaluations','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('run_evaluations','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('run_evaluations','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('run_evaluations','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('run_evaluations','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('run_evaluations','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('run_evaluations','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('run_evaluations','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('run_evaluations','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('run_evaluations','split','train, validation or test');
INSERT INTO "column_docs" VALUES('run_evaluations','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('run_evaluations','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('run_evaluations','evaluator','the evaluator: zero_shot, retrieval, ...');
INSERT INTO "column_docs" VALUES('run_evaluations','step','training step of the weights; NULL if untrained');
INSERT INTO "column_docs" VALUES('run_evaluations','evaluation_hash','train hash and evaluator''s options');
INSERT INTO "column_docs" VALUES('run_evaluations','protocol','JSON: all that must be equal to compare');
INSERT INTO "column_docs" VALUES('run_evaluations','subject_hash','sha256 of subject');
INSERT INTO "column_docs" VALUES('run_evaluations','subject','JSON: weights, precision, scale, preprocessing');
INSERT INTO "column_docs" VALUES('run_evaluations','templates','JSON: the prompt templates, in order');
INSERT INTO "column_docs" VALUES('run_evaluations','label_count','labels scored against; NULL if none');
INSERT INTO "column_docs" VALUES('run_evaluations','sample_count','samples scored');
INSERT INTO "column_docs" VALUES('run_evaluations','skipped_count','samples that could not take part');
INSERT INTO "column_docs" VALUES('run_evaluations','created_at','recorded, UTC');
INSERT INTO "column_docs" VALUES('run_evaluations','test_set','published name of the samples, split included; NULL if the dataset has none');
INSERT INTO "column_docs" VALUES('run_evaluations','main_metric','the metric quoted for that test set; NULL for the usual one');
INSERT INTO "column_docs" VALUES('run_evaluations','label_set_id','the labels scored against; NULL if none');
INSERT INTO "column_docs" VALUES('run_evaluations','suite','JSON: keys of the datasets asked as one suite, its own included; NULL if alone');
INSERT INTO "column_docs" VALUES('sample_outcomes','','One row per sample (or query) of an evaluation of a done run');
INSERT INTO "column_docs" VALUES('sample_outcomes','run_id','the run');
INSERT INTO "column_docs" VALUES('sample_outcomes','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('sample_outcomes','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('sample_outcomes','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('sample_outcomes','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('sample_outcomes','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('sample_outcomes','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('sample_outcomes','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('sample_outcomes','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('sample_outcomes','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('sample_outcomes','split','train, validation or test');
INSERT INTO "column_docs" VALUES('sample_outcomes','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('sample_outcomes','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('sample_outcomes','sample_id','the sample');
INSERT INTO "column_docs" VALUES('sample_outcomes','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('sample_outcomes','rank','best rank of a true label, from 1; NULL if unknown');
INSERT INTO "column_docs" VALUES('sample_outcomes','probability','of that label; NULL where scores are no probabilities');
INSERT INTO "column_docs" VALUES('sample_outcomes','top_label','the label ranked first, if any');
INSERT INTO "column_docs" VALUES('sample_outcomes','top_probability','of the label ranked first; NULL as above');
INSERT INTO "column_docs" VALUES('sample_outcomes','has_tie','another label scored as the true one did');
INSERT INTO "column_docs" VALUES('sample_outcomes','outcome','what paired statistics compare; higher is better');
INSERT INTO "column_docs" VALUES('sample_outcomes','cluster','what it was drawn together with (a person); NULL: alone');
INSERT INTO "column_docs" VALUES('sample_pictures','','One row per sample that has a small picture');
INSERT INTO "column_docs" VALUES('sample_pictures','sample_id','the sample');
INSERT INTO "column_docs" VALUES('sample_pictures','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('sample_pictures','split','train, validation or test');
INSERT INTO "column_docs" VALUES('sample_pictures','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('sample_pictures','image','a small picture, WebP bytes');
INSERT INTO "column_docs" VALUES('sample_pictures','width','of the whole picture in pixels; NULL if unknown');
INSERT INTO "column_docs" VALUES('sample_pictures','height','of the whole picture in pixels; NULL if unknown');
INSERT INTO "column_docs" VALUES('schema_revision','','One row: which version of the tables this is');
INSERT INTO "column_docs" VALUES('schema_revision','revision','the newest migration that the database has seen');
INSERT INTO "column_docs" VALUES('submitted_cells','','One row per cell that was ever submitted, and the run it is');
INSERT INTO "column_docs" VALUES('submitted_cells','cell_id','number of the cell, higher if newer');
INSERT INTO "column_docs" VALUES('submitted_cells','spec','file name of its spec, without the folder');
INSERT INTO "column_docs" VALUES('submitted_cells','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('submitted_cells','position','place in its sweep, from 0; NULL where it is unknown');
INSERT INTO "column_docs" VALUES('submitted_cells','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('submitted_cells','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('submitted_cells','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('submitted_cells','overrides','JSON: texts of --set, files of --set-file, or NULL');
INSERT INTO "column_docs" VALUES('submitted_cells','budget','parameters of fusion and head to meet; NULL if none');
INSERT INTO "column_docs" VALUES('submitted_cells','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('submitted_cells','run_id','the run it is; NULL where none was found yet');
INSERT INTO "column_docs" VALUES('submitted_cells','status','of that run; before it, of its place in the queue, or NULL');
INSERT INTO "column_docs" VALUES('target_predictions','','One row per number predicted for every evaluated sample of a done run');
INSERT INTO "column_docs" VALUES('target_predictions','run_id','the run');
INSERT INTO "column_docs" VALUES('target_predictions','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('target_predictions','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('target_predictions','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('target_predictions','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('target_predictions','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('target_predictions','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('target_predictions','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('target_predictions','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('target_predictions','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('target_predictions','split','train, validation or test');
INSERT INTO "column_docs" VALUES('target_predictions','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('target_predictions','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('target_predictions','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('target_predictions','target','what was predicted, by its name');
INSERT INTO "column_docs" VALUES('target_predictions','truth','its value; NULL where it is unknown');
INSERT INTO "column_docs" VALUES('target_predictions','prediction','in the same unit; NULL if not a number');
INSERT INTO "column_docs" VALUES('true_labels','','One row per true label of a sample that a done run was asked');
INSERT INTO "column_docs" VALUES('true_labels','run_id','the run');
INSERT INTO "column_docs" VALUES('true_labels','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('true_labels','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('true_labels','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('true_labels','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('true_labels','replicate','0, or more for wanted repetitions');
INSERT INTO "column_docs" VALUES('true_labels','group_hash','equal for runs that differ in seed only');
INSERT INTO "column_docs" VALUES('true_labels','evaluation_id','number of the evaluation');
INSERT INTO "column_docs" VALUES('true_labels','evaluation','the evaluation''s name in the spec');
INSERT INTO "column_docs" VALUES('true_labels','condition','which of its results; usually empty');
INSERT INTO "column_docs" VALUES('true_labels','split','train, validation or test');
INSERT INTO "column_docs" VALUES('true_labels','dataset_revision','identifies the dataset''s content');
INSERT INTO "column_docs" VALUES('true_labels','protocol_hash','results compare only where it is equal');
INSERT INTO "column_docs" VALUES('true_labels','sample_id','the sample');
INSERT INTO "column_docs" VALUES('true_labels','sample','the dataset''s own id of the sample');
INSERT INTO "column_docs" VALUES('true_labels','label','the label exactly as the dataset gives it');
INSERT INTO "column_docs" VALUES('true_labels','position','the dataset''s label id, from 0');
INSERT INTO "column_docs" VALUES('whole_cells','','One row per cell and run that it is, with its spec: several cells may be one run');
INSERT INTO "column_docs" VALUES('whole_cells','cell_id','number of the cell, higher if newer');
INSERT INTO "column_docs" VALUES('whole_cells','run_id','the run it is; NULL where none was found yet');
INSERT INTO "column_docs" VALUES('whole_cells','experiment','the spec''s name');
INSERT INTO "column_docs" VALUES('whole_cells','cell','what differs from its sweep''s other cells');
INSERT INTO "column_docs" VALUES('whole_cells','axes','JSON: the sweep''s dotted paths and their values');
INSERT INTO "column_docs" VALUES('whole_cells','seed','seed of all randomness');
INSERT INTO "column_docs" VALUES('whole_cells','position','place in its sweep, from 0; NULL where it is unknown');
INSERT INTO "column_docs" VALUES('whole_cells','overrides','JSON: texts of --set, files of --set-file; NULL where unknown');
INSERT INTO "column_docs" VALUES('whole_cells','budget','parameters of fusion and head to meet; NULL if none');
INSERT INTO "column_docs" VALUES('whole_cells','hash','sha256 of all that the cell says');
INSERT INTO "column_docs" VALUES('whole_cells','resolved','JSON: its own spec as asked, in order, defaults filled in, paths absolute');
INSERT INTO "column_docs" VALUES('whole_cells','created_at','first submitted, UTC');
INSERT INTO "column_docs" VALUES('whole_cells','submitted_at','last submitted, UTC');
INSERT INTO "column_docs" VALUES('whole_cells','spec_id','the spec it belongs to');
INSERT INTO "column_docs" VALUES('whole_cells','spec','file name, without its folder');
INSERT INTO "column_docs" VALUES('whole_cells','spec_text','the TOML file, exactly');
INSERT INTO "column_docs" VALUES('whole_cells','spec_resolved','JSON: the spec with every default filled in');
INSERT INTO "column_docs" VALUES('whole_cells','spec_hash','sha256 of text and resolved');
INSERT INTO "column_docs" VALUES('whole_cells','spec_created_at','first submitted, UTC');
CREATE TABLE confusions (
	evaluation_id INTEGER NOT NULL, 
	truth_id INTEGER NOT NULL, 
	predicted_id INTEGER NOT NULL, 
	sample_count INTEGER NOT NULL, 
	CONSTRAINT pk_confusions PRIMARY KEY (evaluation_id, truth_id, predicted_id), 
	CONSTRAINT fk_confusions_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_confusions_truth_id FOREIGN KEY(truth_id) REFERENCES labels (id), 
	CONSTRAINT fk_confusions_predicted_id FOREIGN KEY(predicted_id) REFERENCES labels (id)
)
 WITHOUT ROWID

;
INSERT INTO "confusions" VALUES(1,1,2,2);
INSERT INTO "confusions" VALUES(1,2,2,1);
INSERT INTO "confusions" VALUES(2,8,9,2);
INSERT INTO "confusions" VALUES(2,9,9,1);
INSERT INTO "confusions" VALUES(3,1,2,2);
INSERT INTO "confusions" VALUES(3,2,2,1);
CREATE TABLE detections (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	rank INTEGER NOT NULL, 
	label_id INTEGER NOT NULL, 
	x0 DOUBLE NOT NULL, 
	y0 DOUBLE NOT NULL, 
	x1 DOUBLE NOT NULL, 
	y1 DOUBLE NOT NULL, 
	score DOUBLE NOT NULL, 
	truth INTEGER, 
	CONSTRAINT pk_detections PRIMARY KEY (evaluation_id, sample_id, rank), 
	CONSTRAINT ck_detections_box CHECK (x0 < x1 AND y0 < y1), 
	CONSTRAINT ck_detections_rank CHECK (rank >= 1)
)
 WITHOUT ROWID

;
INSERT INTO "detections" VALUES(1,1,1,1,0.0,0.0,10.0,10.0,0.9,NULL);
INSERT INTO "detections" VALUES(1,1,2,2,3.33333333333333314829e-01,2.0,30.0,40.5,0.1,1);
INSERT INTO "detections" VALUES(1,2,1,1,5.0,5.0,6.0,6.0,3.33333333333333314829e-01,0);
INSERT INTO "detections" VALUES(2,1,1,8,0.0,0.0,10.0,10.0,0.9,NULL);
INSERT INTO "detections" VALUES(2,1,2,9,3.33333333333333314829e-01,2.0,30.0,40.5,0.1,1);
INSERT INTO "detections" VALUES(2,2,1,8,5.0,5.0,6.0,6.0,3.33333333333333314829e-01,0);
INSERT INTO "detections" VALUES(3,1,1,1,0.0,0.0,10.0,10.0,0.9,NULL);
INSERT INTO "detections" VALUES(3,1,2,2,3.33333333333333314829e-01,2.0,30.0,40.5,0.1,1);
INSERT INTO "detections" VALUES(3,2,1,1,5.0,5.0,6.0,6.0,3.33333333333333314829e-01,0);
CREATE TABLE evaluation_parts (
	run_id TEXT NOT NULL, 
	evaluation_hash TEXT NOT NULL, 
	work TEXT NOT NULL, 
	part INTEGER NOT NULL, 
	first BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	status TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	worker TEXT, 
	lease_until DATETIME, 
	digest TEXT, 
	path TEXT, 
	CONSTRAINT pk_evaluation_parts PRIMARY KEY (run_id, evaluation_hash, work, part), 
	CONSTRAINT fk_evaluation_parts_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT ck_evaluation_parts_status CHECK (status IN ('queued', 'running', 'done')), 
	CONSTRAINT ck_evaluation_parts_lease CHECK ((status = 'running') = (worker IS NOT NULL) AND (status = 'running') = (lease_until IS NOT NULL))
)
 WITHOUT ROWID

;
CREATE TABLE evaluations (
	id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	evaluator TEXT NOT NULL, 
	condition TEXT NOT NULL, 
	split TEXT NOT NULL, 
	dataset_revision TEXT NOT NULL, 
	step BIGINT, 
	evaluation_hash TEXT NOT NULL, 
	protocol_hash TEXT NOT NULL, 
	protocol TEXT NOT NULL, 
	subject_hash TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	label_set_id INTEGER, 
	templates TEXT NOT NULL, 
	sample_count INTEGER NOT NULL, 
	skipped_count INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, test_set TEXT, main_metric TEXT, suite TEXT, 
	CONSTRAINT pk_evaluations PRIMARY KEY (id), 
	CONSTRAINT fk_evaluations_label_set_id FOREIGN KEY(label_set_id) REFERENCES label_sets (id), 
	CONSTRAINT fk_evaluations_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT uq_evaluations_run_id_evaluation_hash_name_condition UNIQUE (run_id, evaluation_hash, name, condition)
);
INSERT INTO "evaluations" VALUES(1,'80965d5433b24fe69a4529cada314e3f','zero_shot','zero_shot','','test','revision-1',7,'evaluation-80965d5433b24fe69a4529cada314e3f','020a6c30afe54096f1db47de350368f4b08c7f157440c0507ea11d7bd69a440e','{"evaluator": "zero_shot", "k": 5, "labels": "abc"}','993f49569d8e655ad5384f35fe84337227ae3167038df7fc57c8c24d504bd157','{"precision": "fp32", "scale": 100.0}',1,'["a photo of a {}."]',3,1,'2026-12-01 04:02:23.137',NULL,NULL,'["small 🦜", "other"]');
INSERT INTO "evaluations" VALUES(2,'80965d5433b24fe69a4529cada314e3f','again','zero_shot','','test','revision-1',NULL,'again','020a6c30afe54096f1db47de350368f4b08c7f157440c0507ea11d7bd69a440e','{"evaluator": "zero_shot", "k": 5, "labels": "abc"}','993f49569d8e655ad5384f35fe84337227ae3167038df7fc57c8c24d504bd157','{"precision": "fp32", "scale": 100.0}',2,'["a photo of a {}."]',3,1,'2026-12-01 04:02:23.180',NULL,NULL,'["small 🦜", "other"]');
INSERT INTO "evaluations" VALUES(3,'9ea832ce190647eba87bbd25d812e875','zero_shot','zero_shot','','test','revision-1',7,'evaluation-9ea832ce190647eba87bbd25d812e875','020a6c30afe54096f1db47de350368f4b08c7f157440c0507ea11d7bd69a440e','{"evaluator": "zero_shot", "k": 5, "labels": "abc"}','993f49569d8e655ad5384f35fe84337227ae3167038df7fc57c8c24d504bd157','{"precision": "fp32", "scale": 100.0}',1,'["a photo of a {}."]',3,1,'2026-12-01 04:02:23.250',NULL,NULL,'["small 🦜", "other"]');
CREATE TABLE identities (
	hash TEXT NOT NULL, 
	content TEXT NOT NULL, 
	CONSTRAINT pk_identities PRIMARY KEY (hash)
);
CREATE TABLE label_metrics (
	evaluation_id INTEGER NOT NULL, 
	label_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	value REAL, metric_declaration_id INTEGER CONSTRAINT fk_label_metrics_metric_declaration_id REFERENCES metric_declarations (id), 
	CONSTRAINT pk_label_metrics PRIMARY KEY (evaluation_id, label_id, name), 
	CONSTRAINT fk_label_metrics_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_label_metrics_label_id FOREIGN KEY(label_id) REFERENCES labels (id)
)
 WITHOUT ROWID

;
INSERT INTO "label_metrics" VALUES(1,1,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,1,'recall',0.0,5);
INSERT INTO "label_metrics" VALUES(1,2,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,2,'recall',0.555555522441864,5);
INSERT INTO "label_metrics" VALUES(1,3,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,3,'recall',1.11111104488372802734e+00,5);
INSERT INTO "label_metrics" VALUES(1,4,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,4,'recall',1.6666666269302368164e+00,5);
INSERT INTO "label_metrics" VALUES(1,5,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,5,'recall',2.22222208976745605468e+00,5);
INSERT INTO "label_metrics" VALUES(1,6,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,6,'recall',2.77777767181396484375e+00,5);
INSERT INTO "label_metrics" VALUES(1,7,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(1,7,'recall',3.33333325386047363281e+00,5);
INSERT INTO "label_metrics" VALUES(2,8,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(2,8,'recall',0.0,5);
INSERT INTO "label_metrics" VALUES(2,9,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(2,9,'recall',1.6666666269302368164e+00,5);
INSERT INTO "label_metrics" VALUES(2,10,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(2,10,'recall',3.33333325386047363281e+00,5);
INSERT INTO "label_metrics" VALUES(3,1,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,1,'recall',0.0,5);
INSERT INTO "label_metrics" VALUES(3,2,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,2,'recall',0.555555522441864,5);
INSERT INTO "label_metrics" VALUES(3,3,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,3,'recall',1.11111104488372802734e+00,5);
INSERT INTO "label_metrics" VALUES(3,4,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,4,'recall',1.6666666269302368164e+00,5);
INSERT INTO "label_metrics" VALUES(3,5,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,5,'recall',2.22222208976745605468e+00,5);
INSERT INTO "label_metrics" VALUES(3,6,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,6,'recall',2.77777767181396484375e+00,5);
INSERT INTO "label_metrics" VALUES(3,7,'ap',NULL,NULL);
INSERT INTO "label_metrics" VALUES(3,7,'recall',3.33333325386047363281e+00,5);
CREATE TABLE label_sets (
	id INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	label_count INTEGER NOT NULL, 
	CONSTRAINT pk_label_sets PRIMARY KEY (id), 
	CONSTRAINT uq_label_sets_hash UNIQUE (hash)
);
INSERT INTO "label_sets" VALUES(1,'b7927db8406ae2211076655f54317e4732b0e53819b886713f574e401e813cb0',7);
INSERT INTO "label_sets" VALUES(2,'567a648207b52b5108eb64cb246c1b20eb4347c1f39ba0752ece72883d1c2904',3);
CREATE TABLE labels (
	id INTEGER NOT NULL, 
	label_set_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	text_hash TEXT NOT NULL, 
	CONSTRAINT pk_labels PRIMARY KEY (id), 
	CONSTRAINT fk_labels_label_set_id FOREIGN KEY(label_set_id) REFERENCES label_sets (id), 
	CONSTRAINT uq_labels_label_set_id_position UNIQUE (label_set_id, position), 
	CONSTRAINT uq_labels_label_set_id_text_hash UNIQUE (label_set_id, text_hash)
);
INSERT INTO "labels" VALUES(1,1,0,'plain','a116c9ed46d6207734a43317d30fd88f52ac8634c37d904bbf4e41d865f90475');
INSERT INTO "labels" VALUES(2,1,1,'quotes '' " ` and %s {} \','a10a11e7b48238081001a9a173161a2e17127c1e17e937fbd57d2fcbc23fcc5c');
INSERT INTO "labels" VALUES(3,1,2,'emoji 🦜🏳️‍🌈','84b63c1d9d06728a6c8409c8c00caedc4da6bd6410236ec49dd1bd9363de54a2');
INSERT INTO "labels" VALUES(4,1,3,'<b onclick=alert(1)>HTML</b> &amp;','e24721fe20f30f5685661a17432de881cb117dd34c9a1d7e8f654a484faca3f6');
INSERT INTO "labels" VALUES(5,1,4,'line one
line two	tab','31721c4bcc64d1b1d087f9dff100ddf5d19611c530500363fb7917cf77915dde');
INSERT INTO "labels" VALUES(6,1,5,'right to left שלום','1a8fc79c5bd764b38231ff41ad09a270d70d462d8b79816c1b55c9c279a13efb');
INSERT INTO "labels" VALUES(7,1,6,'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx','42e8bc96b8eec8c4e5d503483ba0cb843ce95243c8ca8575ffc69cd25d12c61c');
INSERT INTO "labels" VALUES(8,2,0,'x','2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881');
INSERT INTO "labels" VALUES(9,2,1,'y','a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa');
INSERT INTO "labels" VALUES(10,2,2,'z','594e519ae499312b29433b7dd8a97ff068defcba9755b6d5d00e84c524d67b06');
CREATE TABLE metric_declarations (
	id INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	name TEXT NOT NULL, 
	better TEXT, 
	unit TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	mean_of TEXT, 
	low_of TEXT, 
	high_of TEXT, 
	board TEXT NOT NULL, 
	has_gain BOOLEAN NOT NULL, 
	CONSTRAINT pk_metric_declarations PRIMARY KEY (id), 
	CONSTRAINT ck_metric_declarations_better CHECK (better IN ('higher', 'lower')), 
	CONSTRAINT uq_metric_declarations_hash UNIQUE (hash)
);
INSERT INTO "metric_declarations" VALUES(1,'3604c9f8304aa586e2e3d70f1ef18f077e8a688bc746e15b2975bb3858486380','train/loss','lower','',0,NULL,NULL,NULL,'leaderboard',0);
INSERT INTO "metric_declarations" VALUES(2,'dee82554ed8477302210f893408c2e94018da66c26abcbedb55510e9e6c0c111','top1','higher','share',0,'rank<=1',NULL,NULL,'leaderboard',0);
INSERT INTO "metric_declarations" VALUES(3,'e7fa60bb6bfcdf4173173ca1d28620b4d7a10c1ac5e71d4068032087e08365c3','top5','higher','share',0,'rank<=5',NULL,NULL,'leaderboard',0);
INSERT INTO "metric_declarations" VALUES(4,'9f4421bc84ae85809d5425f5402c086e481271aa6d369690aa470e8be81c16f2','down','lower','🦜',1,NULL,NULL,NULL,'leaderboard',0);
INSERT INTO "metric_declarations" VALUES(5,'834476eaf56e4ad0cae06205aaf918ec74080e9ce81ac5695b7075abe1113245','recall','higher','share',0,NULL,NULL,NULL,'leaderboard',0);
CREATE TABLE metrics (
	run_id TEXT NOT NULL, 
	evaluation_id INTEGER, 
	name TEXT NOT NULL, 
	step BIGINT, 
	value DOUBLE, 
	value_kind TEXT NOT NULL, metric_declaration_id INTEGER CONSTRAINT fk_metrics_metric_declaration_id REFERENCES metric_declarations (id), 
	CONSTRAINT ck_metrics_value CHECK ((value_kind = 'finite') = (value IS NOT NULL)), 
	CONSTRAINT ck_metrics_value_kind CHECK (value_kind IN ('finite', 'nan', 'inf', '-inf', 'undefined')), 
	CONSTRAINT ck_metrics_step CHECK ((evaluation_id IS NULL) = (step IS NOT NULL)), 
	CONSTRAINT fk_metrics_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_metrics_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',NULL,'train/loss',1,1.0,'finite',1);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',NULL,'train/loss',2,NULL,'nan',1);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',NULL,'train/loss',3,NULL,'-inf',1);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',1,'top1',NULL,0.5,'finite',2);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',1,'top5',NULL,NULL,'undefined',3);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',1,'nan',NULL,NULL,'nan',NULL);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',1,'up',NULL,NULL,'inf',NULL);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',1,'down',NULL,NULL,'-inf',4);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',2,'top1',NULL,0.5,'finite',2);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',2,'top5',NULL,NULL,'undefined',3);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',2,'nan',NULL,NULL,'nan',NULL);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',2,'up',NULL,NULL,'inf',NULL);
INSERT INTO "metrics" VALUES('80965d5433b24fe69a4529cada314e3f',2,'down',NULL,NULL,'-inf',4);
INSERT INTO "metrics" VALUES('9ea832ce190647eba87bbd25d812e875',3,'top1',NULL,0.5,'finite',2);
INSERT INTO "metrics" VALUES('9ea832ce190647eba87bbd25d812e875',3,'top5',NULL,NULL,'undefined',3);
INSERT INTO "metrics" VALUES('9ea832ce190647eba87bbd25d812e875',3,'nan',NULL,NULL,'nan',NULL);
INSERT INTO "metrics" VALUES('9ea832ce190647eba87bbd25d812e875',3,'up',NULL,NULL,'inf',NULL);
INSERT INTO "metrics" VALUES('9ea832ce190647eba87bbd25d812e875',3,'down',NULL,NULL,'-inf',4);
CREATE TABLE mmlab_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT mmlab_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "mmlab_alembic_version" VALUES('0010');
CREATE TABLE pictures (
	id INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	image BLOB NOT NULL, 
	CONSTRAINT pk_pictures PRIMARY KEY (id), 
	CONSTRAINT uq_pictures_hash UNIQUE (hash)
);
INSERT INTO "pictures" VALUES(1,'156e4511ee1f6999ec1a06023a4b14b9a2380637c201d6719da2ed546deaab0c',12,X'524946462E2E2E2E57454250');
CREATE TABLE properties (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_properties PRIMARY KEY ("key")
);
INSERT INTO "properties" VALUES('id','e0f62fcf84c24cbf9e870d38a1ff9dee');
INSERT INTO "properties" VALUES('runs_folder','token of a folder');
CREATE TABLE queue (
	id INTEGER NOT NULL, 
	cell_id INTEGER NOT NULL, 
	experiment TEXT NOT NULL, 
	status TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	waits_for TEXT NOT NULL, 
	asked_hash TEXT, 
	rerun BOOLEAN NOT NULL, 
	run_id TEXT, 
	fence INTEGER NOT NULL, 
	worker TEXT, 
	lease_until DATETIME, 
	deaths INTEGER NOT NULL, 
	death TEXT, 
	reason TEXT, 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	CONSTRAINT pk_queue PRIMARY KEY (id), 
	CONSTRAINT fk_queue_cell_id FOREIGN KEY(cell_id) REFERENCES cells (id), 
	CONSTRAINT fk_queue_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT ck_queue_status CHECK (status IN ('queued', 'running', 'done', 'failed', 'blocked', 'cancelled')), 
	CONSTRAINT ck_queue_lease CHECK ((status = 'running') = (worker IS NOT NULL) AND (status = 'running') = (lease_until IS NOT NULL)), 
	CONSTRAINT ck_queue_ended CHECK ((status IN ('done', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
);
INSERT INTO "queue" VALUES(1,6,'queued','failed',0,'[]',NULL,0,NULL,1,NULL,NULL,0,NULL,'a plugin is missing 🦜','2026-12-01 04:02:23.355000','2026-12-01 04:02:23.449');
INSERT INTO "queue" VALUES(2,7,'queued','cancelled',-1,'[]',NULL,0,NULL,1,NULL,NULL,0,NULL,NULL,'2026-12-01 04:02:23.355000','2026-12-01 04:02:23.492');
INSERT INTO "queue" VALUES(3,8,'queued','running',-2,'[]',NULL,0,NULL,3,'worker','2026-12-01 04:03:23.542',1,'signal 9',NULL,'2026-12-01 04:02:23.355000',NULL);
INSERT INTO "queue" VALUES(4,9,'queued','queued',-3,'[]',NULL,0,NULL,0,NULL,NULL,0,NULL,NULL,'2026-12-01 04:02:23.355000',NULL);
INSERT INTO "queue" VALUES(5,10,'queued','queued',-4,'[]',NULL,0,NULL,0,NULL,NULL,0,NULL,NULL,'2026-12-01 04:02:23.355000',NULL);
INSERT INTO "queue" VALUES(6,11,'queued','queued',0,'["trained"]',NULL,1,NULL,0,NULL,NULL,0,NULL,NULL,'2026-12-01 04:02:23.570000',NULL);
CREATE TABLE rankings (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	rank SMALLINT NOT NULL, 
	label_id INTEGER NOT NULL, 
	score REAL, 
	CONSTRAINT pk_rankings PRIMARY KEY (evaluation_id, sample_id, rank)
)
 WITHOUT ROWID

;
INSERT INTO "rankings" VALUES(1,1,1,1,8.99999976158142089843e-01);
INSERT INTO "rankings" VALUES(1,1,2,2,0.800000011920929);
INSERT INTO "rankings" VALUES(1,1,3,3,NULL);
INSERT INTO "rankings" VALUES(1,2,1,4,6.00000023841857910156e-01);
INSERT INTO "rankings" VALUES(1,2,2,5,0.5);
INSERT INTO "rankings" VALUES(1,2,3,6,4.00000005960464477539e-01);
INSERT INTO "rankings" VALUES(1,3,1,7,3.00000011920928955078e-01);
INSERT INTO "rankings" VALUES(1,3,2,1,2.00000002980232238769e-01);
INSERT INTO "rankings" VALUES(1,3,3,2,1.00000001490116119384e-01);
INSERT INTO "rankings" VALUES(2,1,1,8,8.99999976158142089843e-01);
INSERT INTO "rankings" VALUES(2,1,2,9,0.800000011920929);
INSERT INTO "rankings" VALUES(2,1,3,10,NULL);
INSERT INTO "rankings" VALUES(2,2,1,8,6.00000023841857910156e-01);
INSERT INTO "rankings" VALUES(2,2,2,9,0.5);
INSERT INTO "rankings" VALUES(2,2,3,10,4.00000005960464477539e-01);
INSERT INTO "rankings" VALUES(2,3,1,8,3.00000011920928955078e-01);
INSERT INTO "rankings" VALUES(2,3,2,9,2.00000002980232238769e-01);
INSERT INTO "rankings" VALUES(2,3,3,10,1.00000001490116119384e-01);
INSERT INTO "rankings" VALUES(3,1,1,1,8.99999976158142089843e-01);
INSERT INTO "rankings" VALUES(3,1,2,2,0.800000011920929);
INSERT INTO "rankings" VALUES(3,1,3,3,NULL);
INSERT INTO "rankings" VALUES(3,2,1,4,6.00000023841857910156e-01);
INSERT INTO "rankings" VALUES(3,2,2,5,0.5);
INSERT INTO "rankings" VALUES(3,2,3,6,4.00000005960464477539e-01);
INSERT INTO "rankings" VALUES(3,3,1,7,3.00000011920928955078e-01);
INSERT INTO "rankings" VALUES(3,3,2,1,2.00000002980232238769e-01);
INSERT INTO "rankings" VALUES(3,3,3,2,1.00000001490116119384e-01);
CREATE TABLE reliability (
	evaluation_id INTEGER NOT NULL, 
	bin SMALLINT NOT NULL, 
	low REAL NOT NULL, 
	high REAL NOT NULL, 
	sample_count INTEGER NOT NULL, 
	probability REAL, 
	accuracy REAL, 
	CONSTRAINT pk_reliability PRIMARY KEY (evaluation_id, bin), 
	CONSTRAINT fk_reliability_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id)
)
 WITHOUT ROWID

;
INSERT INTO "reliability" VALUES(1,0,0.0,0.5,3,0.25,3.33333343267440795898e-01);
INSERT INTO "reliability" VALUES(1,1,0.5,1.0,0,NULL,NULL);
INSERT INTO "reliability" VALUES(2,0,0.0,0.5,3,0.25,3.33333343267440795898e-01);
INSERT INTO "reliability" VALUES(2,1,0.5,1.0,0,NULL,NULL);
INSERT INTO "reliability" VALUES(3,0,0.0,0.5,3,0.25,3.33333343267440795898e-01);
INSERT INTO "reliability" VALUES(3,1,0.5,1.0,0,NULL,NULL);
CREATE TABLE run_artifacts (
	id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	evaluation_id INTEGER, 
	sample_id INTEGER, 
	role TEXT NOT NULL, 
	path TEXT NOT NULL, 
	sha256 TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	CONSTRAINT pk_run_artifacts PRIMARY KEY (id), 
	CONSTRAINT fk_run_artifacts_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_run_artifacts_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_run_artifacts_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id), 
	CONSTRAINT uq_run_artifacts_run_id_path UNIQUE (run_id, path)
);
INSERT INTO "run_artifacts" VALUES(1,'80965d5433b24fe69a4529cada314e3f',NULL,NULL,'best','80965d5433b24fe69a4529cada314e3f/best.safetensors','abababababababababababababababababababababababababababababababab',12);
INSERT INTO "run_artifacts" VALUES(2,'9ea832ce190647eba87bbd25d812e875',NULL,NULL,'best','9ea832ce190647eba87bbd25d812e875/best.safetensors','abababababababababababababababababababababababababababababababab',12);
CREATE TABLE runs (
	id TEXT NOT NULL, 
	spec_id INTEGER, 
	experiment TEXT NOT NULL, 
	cell TEXT NOT NULL, 
	axes TEXT NOT NULL, 
	resolved TEXT NOT NULL, 
	train_hash TEXT NOT NULL, 
	group_hash TEXT NOT NULL, 
	seed BIGINT NOT NULL, 
	replicate INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	fence INTEGER NOT NULL, 
	worker TEXT, 
	lease_until DATETIME, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	provenance TEXT NOT NULL, 
	summary TEXT NOT NULL, 
	error TEXT, origin TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT ck_runs_lease CHECK ((status = 'running') = (worker IS NOT NULL) AND (status = 'running') = (lease_until IS NOT NULL)), 
	CONSTRAINT ck_runs_finished CHECK ((status IN ('done', 'failed', 'cancelled')) = (finished_at IS NOT NULL)), 
	CONSTRAINT ck_runs_status CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')), 
	CONSTRAINT fk_runs_spec_id FOREIGN KEY(spec_id) REFERENCES specs (id), 
	CONSTRAINT uq_runs_train_hash_replicate UNIQUE (train_hash, replicate)
);
INSERT INTO "runs" VALUES('80965d5433b24fe69a4529cada314e3f',1,'emoji','fusion=gating','{"fusion": {"use": "gating"}}','{"name": "emoji", "fusion": {"use": "gating"}}','train-done-0','group-done',0,0,'done',1,NULL,NULL,'2026-12-01 04:02:23.100','2026-12-01 04:02:23.118','2026-12-01 04:02:23.151','{"git": null}','{"seconds": 1.5}',NULL,NULL);
INSERT INTO "runs" VALUES('9ea832ce190647eba87bbd25d812e875',1,'emoji','fusion=gating','{"fusion": {"use": "gating"}}','{"name": "emoji", "fusion": {"use": "gating"}}','train-done-1','group-done',1,0,'done',1,NULL,NULL,'2026-12-01 04:02:23.215','2026-12-01 04:02:23.239','2026-12-01 04:02:23.260','{"git": null}','{"seconds": 1.5}',NULL,NULL);
INSERT INTO "runs" VALUES('eac207bcc2bf41c1b9112138c14a2abc',2,'emoji','fusion=gating','{"fusion": {"use": "gating"}}','{"name": "emoji", "fusion": {"use": "gating"}}','train-failed-0','group-failed',0,0,'failed',1,NULL,NULL,'2026-12-01 04:02:23.266','2026-12-01 04:02:23.286','2026-12-01 04:02:23.297','{"git": null}','{}','not finite',NULL);
INSERT INTO "runs" VALUES('a18b6c8600e0418e8d5c4195bf4d9252',3,'emoji','fusion=gating','{"fusion": {"use": "gating"}}','{"name": "emoji", "fusion": {"use": "gating"}}','train-released-0','group-released',0,0,'queued',1,NULL,NULL,'2026-12-01 04:02:23.302','2026-12-01 04:02:23.312',NULL,'{"git": null}','{}',NULL,NULL);
INSERT INTO "runs" VALUES('2c757d81a8a84d638e0e85fd3ffbc914',4,'emoji','fusion=gating','{"fusion": {"use": "gating"}}','{"name": "emoji", "fusion": {"use": "gating"}}','train-running-0','group-running',0,0,'running',1,'worker','2026-12-01 04:03:23.337','2026-12-01 04:02:23.334','2026-12-01 04:02:23.337',NULL,'{"git": null}','{}',NULL,NULL);
CREATE TABLE sample_results (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	rank INTEGER, 
	probability REAL, 
	top_label_id INTEGER, 
	top_probability REAL, 
	has_tie BOOLEAN NOT NULL, 
	outcome REAL, 
	CONSTRAINT pk_sample_results PRIMARY KEY (evaluation_id, sample_id), 
	CONSTRAINT fk_sample_results_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_sample_results_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id), 
	CONSTRAINT fk_sample_results_top_label_id FOREIGN KEY(top_label_id) REFERENCES labels (id)
)
 WITHOUT ROWID

;
INSERT INTO "sample_results" VALUES(1,1,1,0.25,1,1.00000001490116119384e-01,0,1.0);
INSERT INTO "sample_results" VALUES(1,2,2,0.125,2,1.00000001490116119384e-01,1,0.0);
INSERT INTO "sample_results" VALUES(1,3,NULL,NULL,3,1.00000001490116119384e-01,0,NULL);
INSERT INTO "sample_results" VALUES(2,1,1,0.25,8,1.00000001490116119384e-01,0,1.0);
INSERT INTO "sample_results" VALUES(2,2,2,0.125,9,1.00000001490116119384e-01,1,0.0);
INSERT INTO "sample_results" VALUES(2,3,NULL,NULL,10,1.00000001490116119384e-01,0,NULL);
INSERT INTO "sample_results" VALUES(3,1,1,0.25,1,1.00000001490116119384e-01,0,1.0);
INSERT INTO "sample_results" VALUES(3,2,2,0.125,2,1.00000001490116119384e-01,1,0.0);
INSERT INTO "sample_results" VALUES(3,3,NULL,NULL,3,1.00000001490116119384e-01,0,NULL);
CREATE TABLE sample_targets (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	target TEXT NOT NULL, 
	truth DOUBLE, 
	prediction DOUBLE, 
	CONSTRAINT pk_sample_targets PRIMARY KEY (evaluation_id, sample_id, target), 
	CONSTRAINT fk_sample_targets_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_sample_targets_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id)
)
 WITHOUT ROWID

;
INSERT INTO "sample_targets" VALUES(1,1,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(1,1,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(1,2,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(1,2,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(1,3,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(1,3,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(2,1,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(2,1,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(2,2,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(2,2,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(2,3,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(2,3,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(3,1,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(3,1,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(3,2,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(3,2,'height 📏',NULL,3.33333333333333314829e-01);
INSERT INTO "sample_targets" VALUES(3,3,'age',0.1,40.5);
INSERT INTO "sample_targets" VALUES(3,3,'height 📏',NULL,3.33333333333333314829e-01);
CREATE TABLE sample_truths (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	label_id INTEGER NOT NULL, 
	CONSTRAINT pk_sample_truths PRIMARY KEY (evaluation_id, sample_id, label_id), 
	CONSTRAINT fk_sample_truths_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_sample_truths_label_id FOREIGN KEY(label_id) REFERENCES labels (id), 
	CONSTRAINT fk_sample_truths_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id)
)
 WITHOUT ROWID

;
INSERT INTO "sample_truths" VALUES(1,1,1);
INSERT INTO "sample_truths" VALUES(1,2,2);
INSERT INTO "sample_truths" VALUES(1,2,3);
INSERT INTO "sample_truths" VALUES(2,1,8);
INSERT INTO "sample_truths" VALUES(2,2,9);
INSERT INTO "sample_truths" VALUES(2,2,10);
INSERT INTO "sample_truths" VALUES(3,1,1);
INSERT INTO "sample_truths" VALUES(3,2,2);
INSERT INTO "sample_truths" VALUES(3,2,3);
CREATE TABLE samples (
	id INTEGER NOT NULL, 
	dataset_revision TEXT NOT NULL, 
	split TEXT NOT NULL, 
	stable_id TEXT NOT NULL, cluster TEXT, 
	CONSTRAINT pk_samples PRIMARY KEY (id), 
	CONSTRAINT uq_samples_dataset_revision_split_stable_id UNIQUE (dataset_revision, split, stable_id)
);
INSERT INTO "samples" VALUES(1,'revision-1','test','a',NULL);
INSERT INTO "samples" VALUES(2,'revision-1','test','b 🦜',NULL);
INSERT INTO "samples" VALUES(3,'revision-1','test','c',NULL);
INSERT INTO "samples" VALUES(4,'revision-0','train','seen 🦜',NULL);
INSERT INTO "samples" VALUES(5,'revision-0','train','also seen',NULL);
CREATE TABLE shots (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	CONSTRAINT pk_shots PRIMARY KEY (evaluation_id, sample_id), 
	CONSTRAINT fk_shots_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_shots_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id)
)
 WITHOUT ROWID

;
INSERT INTO "shots" VALUES(1,4);
INSERT INTO "shots" VALUES(1,5);
INSERT INTO "shots" VALUES(2,4);
INSERT INTO "shots" VALUES(2,5);
INSERT INTO "shots" VALUES(3,4);
INSERT INTO "shots" VALUES(3,5);
CREATE TABLE skipped_samples (
	run_id TEXT NOT NULL, 
	dataset_revision TEXT NOT NULL, 
	split TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	sample TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_skipped_samples PRIMARY KEY (run_id, dataset_revision, split, position), 
	CONSTRAINT fk_skipped_samples_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID

;
CREATE TABLE specs (
	id INTEGER NOT NULL, 
	hash TEXT NOT NULL, 
	name TEXT NOT NULL, 
	text TEXT NOT NULL, 
	resolved TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_specs PRIMARY KEY (id), 
	CONSTRAINT uq_specs_hash UNIQUE (hash)
);
INSERT INTO "specs" VALUES(1,'e12362867f8728f975bac03123874a178c2eac011cfb504df6bd0f044ffeb86b','emoji.toml','name = "emoji" # done 🦜
','{"name": "emoji"}','2026-12-01 04:02:23.096');
INSERT INTO "specs" VALUES(2,'1b87ca647a8e805d3aae47d86956f3c4bb806910153c2feca3ddd456a21ce0c3','emoji.toml','name = "emoji" # failed 🦜
','{"name": "emoji"}','2026-12-01 04:02:23.265');
INSERT INTO "specs" VALUES(3,'bc591cbd6652bccbe6f42101632328abe8f7e85a7344fecee6bdf214c9e6c0a5','emoji.toml','name = "emoji" # released 🦜
','{"name": "emoji"}','2026-12-01 04:02:23.301');
INSERT INTO "specs" VALUES(4,'d0971237a8dbfefc3ea431aac15808f457474dcecfb24088bc202bf642e0542c','emoji.toml','name = "emoji" # running 🦜
','{"name": "emoji"}','2026-12-01 04:02:23.334');
INSERT INTO "specs" VALUES(5,'380893809810c7a4b8bd1464f2624406fd5b4d5813f931924698bd65e8062346','emoji.toml','name = "emoji" # one 🦜
','{"name": "emoji"}','2026-12-01 04:02:23.351');
CREATE TABLE thumbnails (
	sample_id INTEGER NOT NULL, 
	place BIGINT NOT NULL, 
	picture_id INTEGER NOT NULL, width INTEGER, height INTEGER, 
	CONSTRAINT pk_thumbnails PRIMARY KEY (sample_id), 
	CONSTRAINT fk_thumbnails_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id), 
	CONSTRAINT fk_thumbnails_picture_id FOREIGN KEY(picture_id) REFERENCES pictures (id)
);
INSERT INTO "thumbnails" VALUES(1,7299139317422481125,1,640,480);
CREATE TABLE true_boxes (
	evaluation_id INTEGER NOT NULL, 
	sample_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	label_id INTEGER NOT NULL, 
	x0 DOUBLE NOT NULL, 
	y0 DOUBLE NOT NULL, 
	x1 DOUBLE NOT NULL, 
	y1 DOUBLE NOT NULL, 
	area DOUBLE NOT NULL, 
	is_crowd BOOLEAN NOT NULL, 
	is_difficult BOOLEAN NOT NULL, 
	CONSTRAINT pk_true_boxes PRIMARY KEY (evaluation_id, sample_id, number), 
	CONSTRAINT ck_true_boxes_box CHECK (x0 < x1 AND y0 < y1), 
	CONSTRAINT fk_true_boxes_evaluation_id FOREIGN KEY(evaluation_id) REFERENCES evaluations (id), 
	CONSTRAINT fk_true_boxes_sample_id FOREIGN KEY(sample_id) REFERENCES samples (id), 
	CONSTRAINT fk_true_boxes_label_id FOREIGN KEY(label_id) REFERENCES labels (id)
)
 WITHOUT ROWID

;
INSERT INTO "true_boxes" VALUES(1,1,0,1,50.0,50.0,60.0,60.0,100.0,0,0);
INSERT INTO "true_boxes" VALUES(1,1,1,2,0.0,0.0,30.0,40.0,900.5,0,0);
INSERT INTO "true_boxes" VALUES(1,2,0,1,0.0,0.0,640.0,480.0,307200.0,1,0);
INSERT INTO "true_boxes" VALUES(2,1,0,8,50.0,50.0,60.0,60.0,100.0,0,0);
INSERT INTO "true_boxes" VALUES(2,1,1,9,0.0,0.0,30.0,40.0,900.5,0,0);
INSERT INTO "true_boxes" VALUES(2,2,0,8,0.0,0.0,640.0,480.0,307200.0,1,0);
INSERT INTO "true_boxes" VALUES(3,1,0,1,50.0,50.0,60.0,60.0,100.0,0,0);
INSERT INTO "true_boxes" VALUES(3,1,1,2,0.0,0.0,30.0,40.0,900.5,0,0);
INSERT INTO "true_boxes" VALUES(3,2,0,1,0.0,0.0,640.0,480.0,307200.0,1,0);
CREATE INDEX ix_runs_experiment_created_at ON runs (experiment, created_at);
CREATE INDEX ix_runs_status_created_at ON runs (status, created_at);
CREATE INDEX ix_evaluations_protocol_hash ON evaluations (protocol_hash);
CREATE UNIQUE INDEX uq_metrics_curve ON metrics (run_id, name, step) WHERE evaluation_id IS NULL;
CREATE UNIQUE INDEX uq_metrics_final ON metrics (evaluation_id, name) WHERE evaluation_id IS NOT NULL;
CREATE INDEX ix_cells_spec_id_position ON cells (spec_id, position);
CREATE UNIQUE INDEX uq_cells_without_run ON cells (spec_id, hash) WHERE run_id IS NULL;
CREATE UNIQUE INDEX uq_queue_open ON queue (cell_id) WHERE status IN ('queued', 'running', 'blocked') AND NOT rerun;
CREATE INDEX ix_queue_status_priority_id ON queue (status, priority DESC, id);
CREATE INDEX ix_queue_experiment_status ON queue (experiment, status);
CREATE INDEX ix_queue_run_id ON queue (run_id);
CREATE INDEX ix_queue_cell_id ON queue (cell_id);
CREATE INDEX ix_queue_waiting ON queue (status, experiment) WHERE waits_for <> '[]';
CREATE INDEX ix_evaluations_run_id_protocol_hash_condition ON evaluations (run_id, protocol_hash, condition);
CREATE VIEW comparisons AS 
SELECT evaluations.name AS evaluation, evaluations.condition, evaluations.split,
    evaluations.dataset_revision, evaluations.protocol_hash, samples.stable_id AS sample,
    left_run.id AS left_run_id, left_run.experiment AS left_experiment, left_run.cell AS left_cell,
    left_run.axes AS left_axes, left_run.seed AS left_seed, left_run.replicate AS left_replicate,
    left_run.group_hash AS left_group_hash,
    left_result.rank AS left_rank, left_result.outcome AS left_outcome,
    right_run.id AS right_run_id, right_run.experiment AS right_experiment, right_run.cell AS right_cell,
    right_run.axes AS right_axes, right_run.seed AS right_seed, right_run.replicate AS right_replicate,
    right_run.group_hash AS right_group_hash,
    right_result.rank AS right_rank, right_result.outcome AS right_outcome
FROM evaluations
JOIN runs AS left_run ON left_run.id = evaluations.run_id
JOIN evaluations AS other ON other.protocol_hash = evaluations.protocol_hash
    AND other.condition = evaluations.condition AND other.run_id <> evaluations.run_id
JOIN runs AS right_run ON right_run.id = other.run_id
JOIN sample_results AS left_result ON left_result.evaluation_id = evaluations.id
JOIN sample_results AS right_result ON right_result.evaluation_id = other.id
    AND right_result.sample_id = left_result.sample_id
JOIN samples ON samples.id = left_result.sample_id
WHERE left_run.status = 'done' AND right_run.status = 'done';
CREATE VIEW target_predictions AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash,
    evaluations.id AS evaluation_id, evaluations.name AS evaluation, evaluations.condition, evaluations.split,
    evaluations.dataset_revision, evaluations.protocol_hash,
    samples.stable_id AS sample, sample_targets.target, sample_targets.truth,
    sample_targets.prediction
FROM sample_targets
JOIN evaluations ON evaluations.id = sample_targets.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = sample_targets.sample_id
WHERE runs.status = 'done';
CREATE VIEW label_confusions AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash,
    evaluations.id AS evaluation_id, evaluations.name AS evaluation, evaluations.condition, evaluations.split,
    evaluations.dataset_revision, evaluations.protocol_hash,
    truths.text AS truth, predictions.text AS predicted, confusions.sample_count
FROM confusions
JOIN evaluations ON evaluations.id = confusions.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN labels AS truths ON truths.id = confusions.truth_id
JOIN labels AS predictions ON predictions.id = confusions.predicted_id
WHERE runs.status = 'done';
CREATE VIEW reliability_bins AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash,
    evaluations.id AS evaluation_id, evaluations.name AS evaluation, evaluations.condition, evaluations.split,
    evaluations.dataset_revision, evaluations.protocol_hash,
    reliability.bin, reliability.low, reliability.high, reliability.sample_count,
    reliability.probability, reliability.accuracy
FROM reliability
JOIN evaluations ON evaluations.id = reliability.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
WHERE runs.status = 'done';
CREATE VIEW leaderboard AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash,
    evaluations.id AS evaluation_id, evaluations.name AS evaluation, evaluations.condition,
    evaluations.split, evaluations.dataset_revision, evaluations.protocol_hash,
    evaluations.evaluator, evaluations.sample_count, evaluations.skipped_count,
    metrics.name AS metric, metrics.value, metrics.value_kind, runs.finished_at,
    runs.origin, evaluations.test_set, evaluations.main_metric,
    metric_declarations.better, metric_declarations.unit, metrics.metric_declaration_id
FROM metrics
LEFT JOIN metric_declarations ON metric_declarations.id = metrics.metric_declaration_id
JOIN evaluations ON evaluations.id = metrics.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
WHERE runs.status = 'done';
CREATE VIEW curves AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash,
    metrics.name AS metric, metrics.step, metrics.value, metrics.value_kind,
    metric_declarations.better, metric_declarations.unit, metrics.metric_declaration_id
FROM metrics
LEFT JOIN metric_declarations ON metric_declarations.id = metrics.metric_declaration_id
JOIN runs ON runs.id = metrics.run_id
WHERE metrics.evaluation_id IS NULL AND runs.status = 'done';
CREATE VIEW submitted_cells AS 
SELECT cells.id AS cell_id, specs.name AS spec, cells.experiment, cells.position,
    cells.label AS cell, cells.axes, cells.seed, cells.overrides, cells.budget, cells.created_at,
    cells.run_id, COALESCE(runs.status, asked.status) AS status
FROM cells
JOIN specs ON specs.id = cells.spec_id
LEFT JOIN runs ON runs.id = cells.run_id
LEFT JOIN (SELECT DISTINCT spec_id, hash FROM cells WHERE run_id IS NOT NULL) AS begun
    ON begun.spec_id = cells.spec_id AND begun.hash = cells.hash AND cells.run_id IS NULL
LEFT JOIN queue AS asked
    ON asked.id = (SELECT max(queue.id) FROM queue WHERE queue.cell_id = cells.id)
WHERE begun.hash IS NULL;
CREATE VIEW label_rankings AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash,
    samples.stable_id AS sample, rankings.rank, labels.text AS label, rankings.score,
    sample_truths.label_id IS NOT NULL AS is_truth,
    rankings.sample_id
FROM rankings
JOIN evaluations ON evaluations.id = rankings.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = rankings.sample_id
JOIN labels ON labels.id = rankings.label_id
LEFT JOIN sample_truths ON sample_truths.evaluation_id = rankings.evaluation_id
    AND sample_truths.sample_id = rankings.sample_id
    AND sample_truths.label_id = rankings.label_id
WHERE runs.status = 'done';
CREATE VIEW all_runs AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, runs.status, runs.fence AS attempts, attempts.outcome, runs.error,
    round((julianday(runs.finished_at) - julianday(runs.started_at)) * 86400.0, 3) AS seconds,
    CASE WHEN json_type(runs.summary, '$.peak_memory_bytes') IN ('integer', 'real')
        THEN CAST(json_extract(runs.summary, '$.peak_memory_bytes') AS INTEGER) END AS memory_bytes,
    CASE WHEN json_type(runs.summary, '$.parameters') IN ('integer', 'real')
        THEN CAST(json_extract(runs.summary, '$.parameters') AS INTEGER) END AS parameters,
    json_extract(runs.provenance, '$.git.commit') AS code_revision,
    (SELECT group_concat(found.value, ', ') FROM (
        SELECT DISTINCT value FROM json_each(runs.provenance, '$.data')
        WHERE json_type(runs.provenance, '$.data') = 'object' ORDER BY value
    ) AS found) AS data_revisions,
    runs.created_at, runs.started_at, runs.finished_at, runs.worker, runs.lease_until,
    runs.train_hash, runs.origin, runs.spec_id, specs.name AS spec, specs.text AS spec_text,
    runs.resolved, runs.provenance, runs.summary
FROM runs
LEFT JOIN attempts ON attempts.run_id = runs.id AND attempts.fence = runs.fence
LEFT JOIN specs ON specs.id = runs.spec_id;
CREATE VIEW run_attempts AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, attempts.fence AS attempt, attempts.worker, attempts.started_at,
    attempts.finished_at, attempts.outcome, attempts.message, attempts.traceback
FROM attempts
JOIN runs ON runs.id = attempts.run_id;
CREATE VIEW declared_metrics AS 
SELECT metric_declarations.id AS metric_declaration_id, metric_declarations.name AS metric,
    metric_declarations.better, metric_declarations.unit, metric_declarations.position,
    metric_declarations.mean_of, metric_declarations.low_of, metric_declarations.high_of,
    metric_declarations.board, metric_declarations.has_gain
FROM metric_declarations;
CREATE VIEW live_curves AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, runs.status, metrics.name AS metric, metrics.step, metrics.value,
    metrics.value_kind, metric_declarations.better, metric_declarations.unit,
    metrics.metric_declaration_id
FROM metrics
JOIN runs ON runs.id = metrics.run_id
LEFT JOIN metric_declarations ON metric_declarations.id =  metrics.metric_declaration_id
WHERE metrics.evaluation_id IS NULL;
CREATE VIEW label_results AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash, labels.text AS label, labels.position,
    label_metrics.name AS metric, label_metrics.value, metric_declarations.better,
    metric_declarations.unit, label_metrics.metric_declaration_id
FROM label_metrics
JOIN evaluations ON evaluations.id = label_metrics.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN labels ON labels.id = label_metrics.label_id
LEFT JOIN metric_declarations ON metric_declarations.id =  label_metrics.metric_declaration_id
WHERE runs.status = 'done';
CREATE VIEW sample_outcomes AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash, sample_results.sample_id, samples.stable_id AS sample,
    sample_results.rank, sample_results.probability, labels.text AS top_label,
    sample_results.top_probability, sample_results.has_tie, sample_results.outcome, samples.cluster
FROM sample_results
JOIN evaluations ON evaluations.id = sample_results.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN samples ON samples.id = sample_results.sample_id
LEFT JOIN labels ON labels.id = sample_results.top_label_id
WHERE runs.status = 'done';
CREATE VIEW true_labels AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash, sample_truths.sample_id, samples.stable_id AS sample,
    labels.text AS label, labels.position
FROM sample_truths
JOIN evaluations ON evaluations.id = sample_truths.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN samples ON samples.id = sample_truths.sample_id
LEFT JOIN labels ON labels.id = sample_truths.label_id
WHERE runs.status = 'done';
CREATE VIEW artifacts AS 
SELECT run_artifacts.id, runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, runs.status, run_artifacts.evaluation_id,
    run_artifacts.sample_id, run_artifacts.role, run_artifacts.path, run_artifacts.sha256,
    run_artifacts.size_bytes
FROM run_artifacts
JOIN runs ON runs.id = run_artifacts.run_id;
CREATE VIEW whole_cells AS 
SELECT cells.id AS cell_id, cells.run_id, cells.experiment, cells.label AS cell, cells.axes,
    cells.seed, cells.position, cells.overrides, cells.budget, cells.hash, cells.resolved,
    cells.created_at, cells.submitted_at, cells.spec_id, specs.name AS spec,
    specs.text AS spec_text, specs.resolved AS spec_resolved, specs.hash AS spec_hash,
    specs.created_at AS spec_created_at
FROM cells
JOIN specs ON specs.id = cells.spec_id;
CREATE VIEW queue_places AS 
SELECT queue.id AS place, queue.cell_id, queue.experiment, queue.status, queue.priority,
    queue.waits_for, queue.asked_hash, queue.rerun, queue.run_id, queue.fence AS claims,
    queue.worker, queue.lease_until, queue.deaths, queue.death, queue.reason,
    queue.created_at, queue.ended_at
FROM queue;
CREATE VIEW schema_revision AS 
SELECT mmlab_alembic_version.version_num AS revision FROM mmlab_alembic_version;
CREATE VIEW run_evaluations AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash, evaluations.evaluator, evaluations.step,
    evaluations.evaluation_hash, evaluations.protocol, evaluations.subject_hash,
    evaluations.subject, evaluations.templates, label_sets.label_count,
    evaluations.sample_count, evaluations.skipped_count, evaluations.created_at,
    evaluations.test_set, evaluations.main_metric, evaluations.label_set_id,
    evaluations.suite
FROM evaluations
JOIN runs ON runs.id = evaluations.run_id
LEFT JOIN label_sets ON label_sets.id = evaluations.label_set_id
WHERE runs.status = 'done';
CREATE VIEW sample_pictures AS 
SELECT thumbnails.sample_id, samples.dataset_revision, samples.split,
    samples.stable_id AS sample, pictures.image,
    thumbnails.width, thumbnails.height
FROM thumbnails
LEFT JOIN pictures ON pictures.id = thumbnails.picture_id
LEFT JOIN samples ON samples.id = thumbnails.sample_id;
CREATE VIEW box_detections AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash, detections.sample_id, samples.stable_id AS sample,
    detections.rank, labels.text AS label, detections.x0, detections.y0, detections.x1,
    detections.y1, detections.score, detections.truth,
    true_boxes.number IS NOT NULL AND NOT true_boxes.is_crowd AND NOT true_boxes.is_difficult
        AS is_right,
    COALESCE(true_boxes.is_crowd OR true_boxes.is_difficult, false) AS is_ignored
FROM detections
JOIN evaluations ON evaluations.id = detections.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = detections.sample_id
JOIN labels ON labels.id = detections.label_id
LEFT JOIN true_boxes ON true_boxes.evaluation_id = detections.evaluation_id
    AND true_boxes.sample_id = detections.sample_id
    AND true_boxes.number = detections.truth
WHERE runs.status = 'done';
CREATE VIEW box_truths AS 
SELECT runs.id AS run_id, runs.experiment AS experiment, runs.cell AS cell, runs.axes AS axes,
    runs.seed AS seed, runs.replicate AS replicate, runs.group_hash AS group_hash, evaluations.id AS evaluation_id, evaluations.name AS evaluation,
    evaluations.condition, evaluations.split, evaluations.dataset_revision,
    evaluations.protocol_hash, true_boxes.sample_id, samples.stable_id AS sample,
    true_boxes.number, labels.text AS label, true_boxes.x0, true_boxes.y0, true_boxes.x1,
    true_boxes.y1, true_boxes.area, true_boxes.is_crowd, true_boxes.is_difficult
FROM true_boxes
JOIN evaluations ON evaluations.id = true_boxes.evaluation_id
JOIN runs ON runs.id = evaluations.run_id
JOIN samples ON samples.id = true_boxes.sample_id
JOIN labels ON labels.id = true_boxes.label_id
WHERE runs.status = 'done';
COMMIT;
